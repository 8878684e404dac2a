"""The schema of a configuration, a section per group."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ugro.config import adapters
from ugro.config.adapters import Adapter, AnyAdapter
from ugro.config.data import (
    DataConfig,
)
from ugro.config.estimate import EstimateConfig
from ugro.config.lora import LoraConfig
from ugro.config.model import ModelConfig
from ugro.config.monitoring import MonitoringConfig
from ugro.config.quantization import QuantizationConfig
from ugro.config.study import (
    ConstraintsConfig,
    ObjectivesConfig,
    StoppersConfig,
    StudyConfig,
)
from ugro.config.task import TaskConfig
from ugro.config.tracking import TrackingConfig
from ugro.config.training import LatencyConfig, TrainingConfig


@dataclass
class Config:
    """The configuration of a trial."""

    study: StudyConfig = field(default_factory=StudyConfig)
    """The study that the trial belongs to."""

    seed: int = MISSING
    """Seed of training, the sampler and the adapter's initialisation."""

    cache_dir: str = MISSING
    """Folder of base models and tokenised data."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """The base model."""

    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    """The quantisation of the base model."""

    adapter: Adapter = MISSING
    """What is trained: lora, or another of PEFT's adapters."""

    lora: LoraConfig = field(default_factory=LoraConfig)
    """The keys of adapter=lora."""

    adalora: adapters.AdaLoraConfig | None = None
    """The keys of adapter=adalora."""

    boft: adapters.BoftConfig | None = None
    """The keys of adapter=boft."""

    c3a: adapters.C3aConfig | None = None
    """The keys of adapter=c3a."""

    delora: adapters.DeloraConfig | None = None
    """The keys of adapter=delora."""

    fourierft: adapters.FourierftConfig | None = None
    """The keys of adapter=fourierft."""

    gralora: adapters.GraloraConfig | None = None
    """The keys of adapter=gralora."""

    hira: adapters.HiraConfig | None = None
    """The keys of adapter=hira."""

    hra: adapters.HraConfig | None = None
    """The keys of adapter=hra."""

    ia3: adapters.Ia3Config | None = None
    """The keys of adapter=ia3."""

    ln_tuning: adapters.LnTuningConfig | None = None
    """The keys of adapter=ln_tuning."""

    loha: adapters.LohaConfig | None = None
    """The keys of adapter=loha."""

    lokr: adapters.LokrConfig | None = None
    """The keys of adapter=lokr."""

    miss: adapters.MissConfig | None = None
    """The keys of adapter=miss."""

    oft: adapters.OftConfig | None = None
    """The keys of adapter=oft."""

    randlora: adapters.RandloraConfig | None = None
    """The keys of adapter=randlora."""

    road: adapters.RoadConfig | None = None
    """The keys of adapter=road."""

    shira: adapters.ShiraConfig | None = None
    """The keys of adapter=shira."""

    vblora: adapters.VbloraConfig | None = None
    """The keys of adapter=vblora."""

    vera: adapters.VeraConfig | None = None
    """The keys of adapter=vera."""

    waveft: adapters.WaveftConfig | None = None
    """The keys of adapter=waveft."""

    data: DataConfig = field(default_factory=DataConfig)
    """The data."""

    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The training."""

    task: TaskConfig = field(default_factory=TaskConfig)
    """The task."""

    scheduler: Any = MISSING
    """The trial scheduler: early stopping by comparison."""

    stoppers: StoppersConfig = field(default_factory=StoppersConfig)
    """Rules that end a trial independently of the scheduler."""

    metrics: dict[str, Any] = field(default_factory=dict)
    """The metrics beside the loss, by name; each has the keys of MetricConfig or LmEvalConfig."""

    objectives: ObjectivesConfig = field(default_factory=ObjectivesConfig)
    """The objectives that rank trials."""

    constraints: ConstraintsConfig = field(default_factory=ConstraintsConfig)
    """Conditions on configurations and results."""

    latency: LatencyConfig = field(default_factory=LatencyConfig)
    """The measurement of latency_ms."""

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    """The trackers."""

    monitoring: MonitoringConfig = field(default_factory=MonitoringConfig)
    """The monitoring."""

    estimate: EstimateConfig = field(default_factory=EstimateConfig)
    """The hardware that a preflight estimates for."""


def adapter_of(config: Config) -> AnyAdapter:
    """Return the keys of the chosen adapter."""
    chosen: AnyAdapter = getattr(config, config.adapter.name)
    return chosen
