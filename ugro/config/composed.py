"""Read and change a composed configuration."""

import copy
from dataclasses import fields, replace

from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ugro.config.eval_sets import set_values
from ugro.config.keys import keys_of, no_such_key, unknown_keys
from ugro.config.metrics import AnyMetric, LmEvalConfig, MetricConfig, first_values, value_names
from ugro.config.registration import PATTERNS, register_resolvers
from ugro.config.schema import Config
from ugro.config.study import SCHEDULERS, Direction, ObjectiveConfig
from ugro.config.task import TASK_METRICS
from ugro.errors import UserError, fault


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
