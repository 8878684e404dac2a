"""The schema: type, unit and description of every key. The defaults are in ``conf/``."""

import copy
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf, flag_override
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ugro.config import adapters
from ugro.config.adapters import ADAPTERS, Adapter, AdapterConfig, AnyAdapter, name_of
from ugro.config.data import (
    DATA_SETS,
    RUNNING_TEXT,
    BadRecords,
    ColumnsConfig,
    DataConfig,
    Packing,
    Source,
    TooLong,
)
from ugro.config.eval_sets import set_values
from ugro.config.keys import keys_of, no_such_key, unknown_keys
from ugro.config.lora import Bias, LoraConfig
from ugro.config.metrics import AnyMetric, LmEvalConfig, MetricConfig, On, first_values, value_names
from ugro.config.model import ModelConfig, RandomLlamaConfig
from ugro.config.monitoring import MonitoringConfig, PrometheusConfig
from ugro.config.quantization import QuantizationConfig, QuantizationMethod
from ugro.config.study import (
    SCHEDULERS,
    AdaptiveAshaConfig,
    AshaConfig,
    ConstraintsConfig,
    Direction,
    FreezeThawConfig,
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
from ugro.config.task import TASK_METRICS, TaskConfig, TaskName
from ugro.config.tracking import MlflowConfig, TrackingConfig, WandbConfig, WandbMode
from ugro.config.training import Dtype, LatencyConfig, LRScheduler, TrainingConfig
from ugro.errors import UserError, fault

__all__ = [
    "ADAPTERS",
    "DATA_SETS",
    "RUNNING_TEXT",
    "SCHEDULERS",
    "Adapter",
    "AdapterConfig",
    "AdaptiveAshaConfig",
    "AnyAdapter",
    "AshaConfig",
    "BadRecords",
    "Bias",
    "ColumnsConfig",
    "Config",
    "ConstraintsConfig",
    "DataConfig",
    "Direction",
    "Dtype",
    "FreezeThawConfig",
    "Keep",
    "LRScheduler",
    "LatencyConfig",
    "LmEvalConfig",
    "LoraConfig",
    "MedianConfig",
    "MetricConfig",
    "MlflowConfig",
    "Mode",
    "ModelConfig",
    "MonitoringConfig",
    "ObjectiveConfig",
    "ObjectivesConfig",
    "On",
    "Packing",
    "PrometheusConfig",
    "QuantizationConfig",
    "QuantizationMethod",
    "RandomLlamaConfig",
    "Resource",
    "RungsConfig",
    "SchedulerConfig",
    "Source",
    "StoppersConfig",
    "StoppingConfig",
    "StudyConfig",
    "TaskConfig",
    "TaskName",
    "TooLong",
    "TrackingConfig",
    "TrainingConfig",
    "WandbConfig",
    "WandbMode",
    "adapter_of",
    "complete_objectives",
    "known_keys",
    "metrics_of",
    "name_of",
    "no_key",
    "register_resolvers",
    "register_schema",
    "set_key",
    "typed",
]


PATTERNS = ("lora.rank_pattern", "lora.alpha_pattern")  # mappings with names of their own


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


def adapter_of(config: Config) -> AnyAdapter:
    """Return the keys of the chosen adapter."""
    chosen: AnyAdapter = getattr(config, config.adapter.name)
    return chosen


def register_schema() -> None:
    """Make the schema and the resolvers of ``conf/`` known to Hydra."""
    store = ConfigStore.instance()
    schema = OmegaConf.structured(Config)
    for open_ended in (
        "metrics",
        "objectives.metrics",
        "data.eval_sets",
        "training.lr_scheduler_kwargs",
        "training.extra",
        *PATTERNS,
    ):
        # metrics.mine={...} needs no +
        OmegaConf.set_struct(OmegaConf.select(schema, open_ended), False)
    store.store(name="schema", node=schema)
    for name, scheduler in SCHEDULERS.items():  # each has keys of its own
        store.store(group="scheduler/schema", name=name, node=scheduler)
    # A configuration that has its own metrics begins here: in another option's they would join.
    store.store(group="objectives", name="empty", node=ObjectivesConfig)
    register_resolvers()


def register_resolvers() -> None:
    """Make ``${multiply:a,b}`` known to OmegaConf."""

    OmegaConf.register_resolver("multiply", lambda a, b: a * b, replace=True)


def set_key(config: DictConfig, key: str, value: object) -> None:
    """Set an existing key of a composed configuration.

    A mapping is merged, as on the command line, except one of patterns: a configuration that many
    trials share would collect theirs.

    Raises:
        OmegaConfBaseException: the value has the wrong type.
    """
    OmegaConf.update(config, key, value, merge=key not in PATTERNS, force_add=False)


def known_keys() -> tuple[str, ...]:
    """List the keys of the schema, those of options that are not chosen included."""
    return keys_of(Config, SCHEDULERS.values(), "scheduler")


def no_key(key: str) -> str:
    """Say that a configuration has no such key, and which ones are most like it."""
    return no_such_key(key, known_keys())


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
        settings = OmegaConf.to_object(complete_objectives(config))
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: needs a value, there is no default") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    assert isinstance(settings, Config)
    settings.metrics = metrics_of(config)
    return settings


def metrics_of(config: DictConfig) -> dict[str, AnyMetric]:
    """Return the settings of a composed configuration's metrics.

    Raises:
        UserError: a key or its type is wrong, or a task file cannot be read.
    """
    return {str(name): _metric(str(name), given) for name, given in config.metrics.items()}


def _metric(name: str, given: object) -> AnyMetric:
    """Return a metric's settings as a dataclass.

    Raises:
        UserError: a key or its type is wrong, or a task file cannot be read.
    """
    key = f"metrics.{name}"
    if not isinstance(given, DictConfig):
        raise UserError(fault(key, given, "{function: my_module.my_metric, ...}"))
    # A key without a value counts: "in" the mapping itself would pass over tasks: ???.
    schema = LmEvalConfig if "tasks" in given.keys() else MetricConfig  # noqa: SIM118
    try:
        metric = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), given))
    except MissingMandatoryValue as error:
        raise UserError(f"{key}.{error.full_key}: needs a value, there is no default") from error
    except OmegaConfBaseException as error:
        allowed = f"the keys {', '.join(each.name for each in fields(schema))}"
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{fault(key, OmegaConf.to_container(given), allowed)} ({reason})"
        ) from error
    if isinstance(metric, LmEvalConfig):
        return replace(metric, returns=metric.returns or first_values(name, metric.tasks))
    assert isinstance(metric, MetricConfig)
    return metric


def complete_objectives(config: DictConfig) -> DictConfig:
    """Return a composed configuration with its objectives completed.

    Without objectives, all configured metrics are objectives, or the loss if there are none. An
    objective without direction has its metric's.
    """
    configured = value_names(metrics_of(config))
    of_tasks = {name: one for names in TASK_METRICS.values() for name, one in names.items()}
    of_sets = set_values(map(str, config.data.eval_sets), config.task.name)
    directions = {**of_tasks, **of_sets, **configured}
    config = copy.deepcopy(config)
    objectives = config.objectives.metrics
    with flag_override(config, ["struct", "readonly"], False):
        for name in list(objectives) or configured or ["eval_loss"]:
            direction = directions.get(name, Direction.minimize)
            if name not in objectives:
                objectives[name] = ObjectiveConfig(direction)
            elif OmegaConf.is_missing(objectives[name], "direction") and name in directions:
                objectives[name].direction = direction
    return config
