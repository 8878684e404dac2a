"""Composition of trial configurations."""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache, partial
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import Container, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ugro.config import ADAPTERS, ConstraintsConfig, metrics_of, no_key, set_key
from ugro.config.values import configured_values, known_values
from ugro.errors import UserError
from ugro.events.trial_report import MEASURED
from ugro.objectives.constraints import Constraints, constraints_of
from ugro.shell import override
from ugro.space.search_space import SearchSpace


class Composer:
    """Composer of the trials of a search space.

    Hydra takes 0.15 s to compose a configuration and 10 ms to copy it. Each combination of config
    groups (``model=a,b``) is therefore composed once, and only the searched keys are set in it.

    Args:
        space: the search space
        master: the sweep's configuration
        loader: Hydra's config loader
    """

    def __init__(self, space: SearchSpace, master: DictConfig, loader: ConfigLoader) -> None:
        self._space = space
        self._master = master
        self._loader = loader
        self._groups = set(loader.list_groups(""))
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, parameters: Mapping[str, Any]) -> DictConfig:
        """Compose the configuration of the parameters, ``hydra`` included.

        The result is shared: the next call overwrites its parameters.

        Raises:
            UserError: all values that do not match the types of their keys, one per line.
        """
        config, values = self.shared(parameters)
        lines = []
        for key, value in values.items():
            try:
                set_key(config, key, value)
            except OmegaConfBaseException as error:
                reason = f"{key}: {parameters[key]!r} given ({str(error).splitlines()[0]})"
                lines.append(reason if has(config, key) else no_key(key))
        if lines:
            raise UserError("\n".join(dict.fromkeys(lines)))
        return config

    def shared(self, parameters: Mapping[str, Any]) -> tuple[DictConfig, dict[str, Any]]:
        """Return a configuration shared by many trials, and the values to set for this one."""
        groups = [override(key, parameters[key]) for key in parameters if self._is_group(key)]
        values = {key: parsed(parameters[key]) for key in parameters if not self._is_group(key)}
        composed = (*groups, *values)  # with other keys: an inactive one must keep its default
        if composed not in self._composed:
            overrides = [*self._space.fixed, *groups]
            self._composed[composed] = self._loader.load_sweep_config(self._master, overrides)
        return self._composed[composed], values

    def _is_group(self, key: str) -> bool:
        return key in self._groups or key[0] in "+~"


def unused_keys(space: SearchSpace, config: DictConfig) -> dict[str, str]:
    """Return the searched keys that have no effect, with the reason.

    Only the default of ``lora.alpha`` reads ``lora.alpha_ratio``: where alpha is set or searched,
    trials would differ in ratios that are never used. So it is with the learning rates of adapters
    where ``training.learning_rate`` is given.

    Args:
        space: the search space
        config: a composed configuration of it
    """
    return _unused_rates(space) | _unused_ratio(space, config)


def _unused_rates(space: SearchSpace) -> dict[str, str]:
    shared = "training.learning_rate"
    is_set = any(line.lstrip("+").startswith(f"{shared}=") for line in space.fixed)
    is_searched = shared in space.distributions and shared not in space.conditions
    if not is_set and not is_searched:
        return {}
    rates = [f"{name}.learning_rate" for name in ADAPTERS]
    return {rate: f"{shared} is set" for rate in rates if rate in space.distributions}


def _unused_ratio(space: SearchSpace, config: DictConfig) -> dict[str, str]:
    ratio, alpha = "lora.alpha_ratio", "lora.alpha"
    is_read = any(ratio in condition.names for condition in space.conditions.values())
    if ratio not in space.distributions or is_read:
        return {}
    if alpha in space.distributions:
        return {ratio: f"{alpha} is searched, too"}
    as_written: Any = OmegaConf.to_container(config.lora, resolve=False)
    return {} if ratio in str(as_written["alpha"]) else {ratio: f"{alpha} is set explicitly"}


def parsed(choice: Any) -> Any:
    """Convert a parameter to its value in a configuration: ``"[q_proj,v_proj]"`` to a list."""
    return _parsed(choice) if isinstance(choice, str) else choice


@lru_cache(maxsize=1024)  # takes text only, as 1, 1.0 and True are equal cache keys
def _parsed(text: str) -> Any:
    return OverridesParser.create().parse_override(override("key", text)).value()


def without_hydra(config: DictConfig) -> DictConfig:
    """Copy the configuration without its ``hydra`` node, as a task sees it."""
    copy = config.copy()
    with open_dict(copy):
        del copy["hydra"]
    return copy


def lookup(config: DictConfig, key: str) -> object:
    """Return a key's resolved value as a Python object; an enum as its name."""
    value = OmegaConf.select(config, key)
    if isinstance(value, Container):
        return OmegaConf.to_container(value, resolve=True)
    return value.name if isinstance(value, Enum) else value


def constraints_in(config: DictConfig) -> Constraints:
    """Parse the constraints of a composed configuration.

    Raises:
        UserError: an expression does not parse, or a name is neither a key nor a metric.
    """
    expressions = list(config.constraints.expressions)
    task = config.task.name
    own = configured_values(map(str, config.data.eval_sets), task, metrics_of(config))
    measured = known_values(MEASURED, task, own)
    return constraints_of(ConstraintsConfig(expressions), partial(has, config), measured)


def has(config: DictConfig, key: str) -> bool:
    """Whether the configuration has the key, even if its value is null."""
    missing = object()
    return OmegaConf.select(config, key, default=missing) is not missing


def can_be_set(config: DictConfig, key: str) -> bool:
    """Whether the configuration has the key, or a mapping of any keys that the key belongs to."""
    mapping = OmegaConf.select(config, key.rpartition(".")[0])
    is_open = isinstance(mapping, DictConfig) and not OmegaConf.is_struct(mapping)
    return has(config, key) or is_open
