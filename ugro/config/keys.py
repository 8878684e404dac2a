"""Keys that the schema has, and those that it has not."""

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Iterator
from functools import cache
from types import UnionType
from typing import Any

from omegaconf import DictConfig, OmegaConf

# Removed keys, and those that do their work
REMOVED = {
    "study.max_trials": "hydra.sweeper.n_trials",
    "data.text_column": "data.columns.text",
}
NEAREST, ALIKE = 3, 0.6  # keys that a message names, and how alike they must be (difflib's ratio)


def unknown_keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Find keys that were added to a composed configuration and are of no structured config.

    Args:
        config: composed; a mapping without a schema may have any keys
        prefix: of its own key, with the dot behind it
    """
    kind = OmegaConf.get_type(config)
    known = [one.name for one in dataclasses.fields(kind)] if _is_schema(kind) else None
    for name in map(str, config):
        key = f"{prefix}{name}"
        if known is not None and name not in known:
            yield key
        elif not (OmegaConf.is_missing(config, name) or OmegaConf.is_interpolation(config, name)):
            value = config[name]
            if isinstance(value, DictConfig):
                yield from unknown_keys(value, f"{key}.")


def no_such_key(key: str, known: Iterable[str]) -> str:
    """One line that says that a configuration has no such key, and which ones are most like it."""
    if key in REMOVED:
        return f"{key}: removed, set {REMOVED[key]}"
    if key in (known := list(known)):
        return f"{key}: no key of the chosen option of {key.partition('.')[0]}"
    own = [one for one in known if one.partition(".")[0] == key.partition(".")[0]]
    alike = nearest(key, own) or nearest(key, known)
    hint = f"nearest: {', '.join(alike)}" if alike else "python train.py --cfg job prints them all"
    return f"{key}: no key of the schema, {hint}"


def nearest(given: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are most like a given one."""
    return difflib.get_close_matches(given, list(known), NEAREST, ALIKE)


def keys_of(schema: type, more: Iterable[type] = (), of_more: str = "") -> tuple[str, ...]:
    """List every key of a schema, dotted.

    Args:
        schema: a dataclass
        more: dataclasses of which one is at ``of_more``
        of_more: a key whose own type does not say what it holds
    """
    own = [*_keys(schema), *(f"{of_more}.{key}" for one in more for key in _keys(one))]
    return tuple(dict.fromkeys(own))


@cache
def _keys(schema: type, prefix: str = "") -> tuple[str, ...]:
    found: list[str] = []
    for name, kind in typing.get_type_hints(schema).items():
        found.append(f"{prefix}{name}")
        for one in _members(kind):
            if _is_schema(one):
                found += _keys(one, f"{prefix}{name}.")
    return tuple(found)


def _members(kind: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    union = typing.get_origin(kind) in (typing.Union, UnionType)
    return typing.get_args(kind) if union else (kind,)


def _is_schema(kind: object) -> typing.TypeGuard[type]:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)
