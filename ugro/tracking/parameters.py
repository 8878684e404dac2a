"""Which of a configuration's values do trackers show? Those that a trial's numbers depend on."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ugro.config import register_resolvers

# What a study, a machine or a login is about is left out.
SHOWN = (
    "model",
    "lora",
    "data",
    "training",
    "seed",
    "scheduler",
    "stoppers",
    "objectives",
    "constraints",
    "latency",
)
NAMED = ("experiment", "search_space")  # groups that set what is shown
FROM_ENVIRONMENT = "oc.env"


def parameters_of(configuration: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, str]:
    """The values by key, as text; what is null or empty is left out.

    Values of the environment stay as they are written, ``${oc.env:NAME}``: they may be secrets.

    Args:
        configuration: composed, interpolations as written
        own: a trial's parameters, which are set in it; the group that one chooses is not known
    """
    register_resolvers()
    config: DictConfig = OmegaConf.create(_kept_as_written(dict(configuration)))
    for key, value in own.items():
        OmegaConf.update(config, key, value)
    return {
        key: as_text(value)
        for part in SHOWN
        if part in config
        for key, value in _leaves(part, config, part)
        if value not in (None, "", [], {})
    }


def as_text(value: object) -> str:
    """As an override is written: ``true``, ``[q_proj,v_proj]``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(as_text(one) for one in value)}]"
    return str(value)


def is_shown(override: str) -> bool:
    """Whether it sets what is shown."""
    return override.lstrip("+~").partition("=")[0].partition(".")[0] in (*SHOWN, *NAMED)


def _kept_as_written(node: Any) -> Any:
    """The same, where what comes from the environment is text that nothing resolves."""
    if isinstance(node, Mapping):
        return {key: _kept_as_written(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_kept_as_written(value) for value in node]
    if isinstance(node, str) and FROM_ENVIRONMENT in node:
        return node.replace("${", "\\${")
    return node


def _leaves(path: str, node: DictConfig, key: str) -> Iterator[tuple[str, Any]]:
    """What is below a key, each with its whole key; what cannot be resolved, as it is written."""
    try:
        value = node[key]
    except OmegaConfBaseException:
        yield path, OmegaConf.to_container(node, resolve=False)[key]  # type: ignore[index, call-overload]
        return
    if isinstance(value, DictConfig):
        for name in map(str, value):
            yield from _leaves(f"{path}.{name}", value, name)
    elif OmegaConf.is_config(value):
        yield path, OmegaConf.to_container(value, resolve=True)
    else:
        yield path, value
