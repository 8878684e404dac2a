"""The schema: type, unit and description of every key. The defaults are in ``conf/``."""

from ugro.config.adapters import ADAPTERS, Adapter, AdapterConfig, AnyAdapter, name_of
from ugro.config.composed import complete_objectives, known_keys, metrics_of, no_key, set_key, typed
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
from ugro.config.estimate import EstimateConfig
from ugro.config.lora import Bias, LoraConfig
from ugro.config.metrics import LmEvalConfig, MetricConfig, On
from ugro.config.model import ModelConfig, RandomLlamaConfig
from ugro.config.monitoring import MonitoringConfig, PrometheusConfig
from ugro.config.quantization import QuantizationConfig, QuantizationMethod
from ugro.config.registration import register_resolvers, register_schema
from ugro.config.schema import Config, adapter_of
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
from ugro.config.task import TaskConfig, TaskName
from ugro.config.tracking import MlflowConfig, TrackingConfig, WandbConfig, WandbMode
from ugro.config.training import Dtype, LatencyConfig, LRScheduler, Parallel, TrainingConfig

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
    "EstimateConfig",
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
    "Parallel",
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
