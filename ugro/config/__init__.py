"""The schema: type, unit and description of every key. The defaults are in ``conf/``."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ugro.config.keys import keys_of, no_such_key, unknown_keys
from ugro.config.monitoring import MonitoringConfig, PrometheusConfig
from ugro.config.study import (
    SCHEDULERS,
    AdaptiveAshaConfig,
    AshaConfig,
    ConstraintsConfig,
    Direction,
    Keep,
    MedianConfig,
    Mode,
    ObjectiveConfig,
    ObjectivesConfig,
    Resource,
    RungsConfig,
    SchedulerConfig,
    StoppersConfig,
    StoppingConfig,
    StudyConfig,
)
from ugro.config.tracking import MlflowConfig, TrackingConfig, WandbConfig, WandbMode
from ugro.config.trial import (
    DATA_SETS,
    RUNNING_TEXT,
    BadRecords,
    Bias,
    ColumnsConfig,
    DataConfig,
    Dtype,
    LatencyConfig,
    LoraConfig,
    LRScheduler,
    ModelConfig,
    Packing,
    RandomLlamaConfig,
    Source,
    TooLong,
    TrainingConfig,
)
from ugro.errors import UserError

__all__ = [
    "DATA_SETS",
    "RUNNING_TEXT",
    "SCHEDULERS",
    "AdaptiveAshaConfig",
    "AshaConfig",
    "BadRecords",
    "Bias",
    "ColumnsConfig",
    "Config",
    "ConstraintsConfig",
    "DataConfig",
    "Direction",
    "Dtype",
    "Keep",
    "LRScheduler",
    "LatencyConfig",
    "LoraConfig",
    "MedianConfig",
    "MlflowConfig",
    "Mode",
    "ModelConfig",
    "MonitoringConfig",
    "ObjectiveConfig",
    "ObjectivesConfig",
    "Packing",
    "PrometheusConfig",
    "RandomLlamaConfig",
    "Resource",
    "RungsConfig",
    "SchedulerConfig",
    "Source",
    "StoppersConfig",
    "StoppingConfig",
    "StudyConfig",
    "TooLong",
    "TrackingConfig",
    "TrainingConfig",
    "WandbConfig",
    "WandbMode",
    "no_key",
    "register_resolvers",
    "register_schema",
    "typed",
]


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

    lora: LoraConfig = field(default_factory=LoraConfig)
    """The adapter."""

    data: DataConfig = field(default_factory=DataConfig)
    """The data."""

    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The training."""

    scheduler: Any = MISSING
    """The trial scheduler: early stopping by comparison."""

    stoppers: StoppersConfig = field(default_factory=StoppersConfig)
    """Rules that end a trial independently of the scheduler."""

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


def register_schema() -> None:
    """Make the schema and the resolvers of ``conf/`` known to Hydra."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for name, scheduler in SCHEDULERS.items():  # each has keys of its own
        store.store(group="scheduler/schema", name=name, node=scheduler)
    # A configuration that has its own metrics begins here: in another option's they would join.
    store.store(group="objectives", name="empty", node=ObjectivesConfig)
    register_resolvers()


def register_resolvers() -> None:
    """Make ``${multiply:a,b}`` known to OmegaConf."""

    OmegaConf.register_resolver("multiply", lambda a, b: a * b, replace=True)


def no_key(key: str) -> str:
    """Say that there is no such key, and which ones are most like it."""
    return no_such_key(key, keys_of(Config, SCHEDULERS.values(), "scheduler"))


def typed(config: DictConfig) -> Config:
    """The composed configuration as dataclasses, interpolations resolved.

    Raises:
        UserError: a mandatory value is missing, one is of the wrong type, or a key was added that
            the schema has not.
    """
    if unknown := list(unknown_keys(config)):
        raise UserError("\n".join(map(no_key, unknown)))
    register_resolvers()  # a worker process that was handed the configuration has not
    try:
        settings = OmegaConf.to_object(config)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: needs a value, there is no default") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    assert isinstance(settings, Config)
    return settings
