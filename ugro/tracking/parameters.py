"""Select the configuration values that trackers show: those that affect a trial's results."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ugro.config import ADAPTERS, register_resolvers

# Settings of the study, the machine and logins are omitted.
SHOWN = (
    "model",
    "quantization",
    "adapter",
    *ADAPTERS,
    "data",
    "training",
    "seed",
    "scheduler",
    "stoppers",
    "objectives",
    "constraints",
    "latency",
)
NAMED = ("experiment", "search_space")  # groups that set these values
FROM_ENVIRONMENT = "oc.env"


def parameters_of(configuration: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, str]:
    """Return the values by key, as text; null and empty values are omitted.

    Environment variables stay as written, ``${oc.env:NAME}``, because they may be secrets.

    Args:
        configuration: composed, with unresolved interpolations
        own: the trial's parameters, set in the configuration; a chosen group stays a name
    """
    register_resolvers()
    config: DictConfig = OmegaConf.create(_escape_environment(dict(configuration)))
    for key, value in own.items():
        OmegaConf.update(config, key, value)
    without = {*ADAPTERS} - {config.get("adapter", "lora")}
    if _unquantised(config.get("quantization")):
        without.add("quantization")
    return {
        key: as_text(value)
        for part in SHOWN
        if part in config and part not in without
        for key, value in _leaves(part, config, part)
        if value not in (None, "", [], {})
    }


def _unquantised(section: object) -> bool:
    """Return whether the base model is not quantised; a chosen group is a name."""
    return isinstance(section, DictConfig) and section.method == "none"


def as_text(value: object) -> str:
    """Format a value as in an override: ``true``, ``[q_proj,v_proj]``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(as_text(item) for item in value)}]"
    return str(value)


def is_shown(override: str) -> bool:
    """Whether an override sets a value that trackers show."""
    return override.lstrip("+~").partition("=")[0].partition(".")[0] in (*SHOWN, *NAMED)


def _escape_environment(node: Any) -> Any:
    """Escape interpolations of environment variables, so that they are not resolved."""
    if isinstance(node, Mapping):
        return {key: _escape_environment(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_escape_environment(value) for value in node]
    if isinstance(node, str) and FROM_ENVIRONMENT in node:
        return node.replace("${", "\\${")
    return node


def _leaves(path: str, node: DictConfig, key: str) -> Iterator[tuple[str, Any]]:
    """Yield the values below a key with their full keys; unresolvable values stay as written."""
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
