"""Configurations of trials, composed once; then only the searched keys change."""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache, partial
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import Container, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ugro.config import ConstraintsConfig, no_key
from ugro.errors import UserError
from ugro.objectives.constraints import Constraints, constraints_of
from ugro.shell import override
from ugro.space.search_space import SearchSpace


class Composer:
    """Composes trials of one search space.

    Hydra takes 0.15 s to compose a configuration and 10 ms to copy one. So each choice of whole
    groups (``model=a,b``) is composed once, and then only the searched keys are set in it.
    """

    def __init__(self, space: SearchSpace, master: DictConfig, loader: ConfigLoader) -> None:
        self._space = space
        self._master = master
        self._loader = loader
        self._groups = set(loader.list_groups(""))
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, parameters: Mapping[str, Any]) -> DictConfig:
        """The configuration with the parameters in it, ``hydra`` included.

        It is the caller's until the next call, which sets other parameters in it.

        Raises:
            UserError: values that are not of their keys' types, a line each.
        """
        config, values = self.shared(parameters)
        wrong = []
        for key, value in values.items():
            try:
                OmegaConf.update(config, key, value, force_add=False)
            except OmegaConfBaseException as error:
                why = f"{key}: {parameters[key]!r} given ({str(error).splitlines()[0]})"
                wrong.append(why if has(config, key) else no_key(key))
        if wrong:
            raise UserError("\n".join(dict.fromkeys(wrong)))
        return config

    def shared(self, parameters: Mapping[str, Any]) -> tuple[DictConfig, dict[str, Any]]:
        """A configuration that many trials share, and what is to be set in it for this one."""
        structural = [override(key, parameters[key]) for key in parameters if self._is_group(key)]
        plain = {key: parsed(parameters[key]) for key in parameters if not self._is_group(key)}
        which = (*structural, *plain)  # what is not searched here is as it was composed
        if which not in self._composed:
            overrides = [*self._space.fixed, *structural]
            self._composed[which] = self._loader.load_sweep_config(self._master, overrides)
        return self._composed[which], plain

    def _is_group(self, key: str) -> bool:
        return key in self._groups or key[0] in "+~"


def idle(space: SearchSpace, config: DictConfig) -> dict[str, str]:
    """The searched keys that would change nothing, and why.

    ``lora.alpha_ratio`` is read by the default of ``lora.alpha`` alone: where alpha is set or
    searched itself, a study would spend its trials on ratios that are never used.

    Args:
        space: what is searched
        config: a composed configuration of it
    """
    ratio, alpha = "lora.alpha_ratio", "lora.alpha"
    read = any(ratio in condition.names for condition in space.conditions.values())
    if ratio not in space.distributions or read:
        return {}
    if alpha in space.distributions:
        return {ratio: f"{alpha} is searched itself"}
    as_written: Any = OmegaConf.to_container(config.lora, resolve=False)
    return {} if ratio in str(as_written["alpha"]) else {ratio: f"{alpha} is set itself"}


def parsed(choice: Any) -> Any:
    """A parameter as a configuration holds it: ``"[q_proj,v_proj]"`` is a list."""
    return _parsed(choice) if isinstance(choice, str) else choice


@lru_cache(maxsize=1024)  # of texts alone: 1, 1.0 and true are one key
def _parsed(text: str) -> Any:
    return OverridesParser.create().parse_override(override("key", text)).value()


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy as the task sees it."""
    copy = config.copy()
    with open_dict(copy):
        del copy["hydra"]
    return copy


def lookup(config: DictConfig, key: str) -> object:
    """A key's value, interpolations resolved, as plain Python; an enum by its name."""
    value = OmegaConf.select(config, key)
    if isinstance(value, Container):
        return OmegaConf.to_container(value, resolve=True)
    return value.name if isinstance(value, Enum) else value


def constraints_in(config: DictConfig) -> Constraints:
    """The constraints of a composed configuration.

    Raises:
        UserError: an expression does not parse, or names what is neither key nor metric.
    """
    expressions = list(config.constraints.expressions)
    return constraints_of(ConstraintsConfig(expressions), partial(has, config))


def has(config: DictConfig, key: str) -> bool:
    """Whether there is such a key, even if its value is null."""
    missing = object()
    return OmegaConf.select(config, key, default=missing) is not missing
