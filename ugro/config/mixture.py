"""The data sets of ``data=mixture``, each as a data configuration of its own."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ugro.config.data import ColumnsConfig, DataConfig, Source
from ugro.errors import UserError, fault

# What a set may differ in; all else, such as the row length, is that of the mixture.
KEYS = (
    "source",
    "path",
    "subset",
    *(f"{part}_{where}" for where in ("split", "files") for part in ("train", "eval", "test")),
    "columns",
    "prompt",
    "completion",
    "filter",
    "join_rows",
)
WEIGHT, LIMIT = "weight", "max_examples"


@dataclass(frozen=True)
class Member:
    """A data set of a mixture.

    Attributes:
        key: its key, ``data.sets[0]``
        data: its configuration
        weight: how often a training document is trained on in a pass
        max_examples: largest number of documents of its training files; None: all
    """

    key: str
    data: DataConfig
    weight: float
    max_examples: int | None = None


def members(config: DataConfig) -> list[Member]:
    """Return the sets of a mixture; other data are a single set.

    Raises:
        UserError: a set has an unknown key or a wrong value.
    """
    if config.source is not Source.mixture:
        return [Member("data", config, 1.0)]
    keys = (*KEYS, WEIGHT, LIMIT)
    return [member_of(config, f"data.sets[{at}]", one, keys) for at, one in enumerate(config.sets)]


def of_mixture(config: DataConfig) -> Iterator[str]:
    """Yield the keys that a mixture has, although they belong to its sets."""
    default = DataConfig()
    for key in KEYS[1:]:
        if config.source is Source.mixture and getattr(config, key) != getattr(default, key):
            yield f"data.{key}"


def in_set(message: str, key: str) -> str:
    """Write the keys in a message about a set as those of the set."""
    return re.sub(rf"(?<![\w/.])data\.(?=(?:{'|'.join(KEYS)})\b)", f"{key}.", message)


@contextmanager
def named(member: Member) -> Iterator[None]:
    """Raise errors about a set's data with the keys of the set."""
    try:
        yield
    except UserError as error:
        raise UserError(in_set(str(error), member.key)) from error


def member_of(config: DataConfig, key: str, given: Any, allowed: tuple[str, ...]) -> Member:
    """Return a set with its values in the types of the schema.

    Args:
        config: what the set has unless it is given
        key: key of the set
        given: what it differs in
        allowed: keys that may be given

    Raises:
        UserError: a key is not allowed, or a value is wrong.
    """
    if not isinstance(given, dict):
        raise UserError(fault(key, given, "{source: jsonl, ...}"))
    faults = list(_faults(key, given, allowed))
    if faults:
        raise UserError("\n".join(faults))
    own = {name: value for name, value in given.items() if name not in (WEIGHT, LIMIT)}
    try:
        merged = OmegaConf.merge(OmegaConf.structured(DataConfig), own)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{key}.{error.full_key}: {reason}") from error
    typed = {name: _plain(OmegaConf.select(merged, name)) for name in own}
    weight = float(given.get(WEIGHT, 1.0))
    return Member(key, replace(config, sets=[], eval_sets={}, **typed), weight, given.get(LIMIT))


def _plain(value: Any) -> Any:
    return OmegaConf.to_object(value) if OmegaConf.is_config(value) else value


def _faults(key: str, given: dict[str, Any], allowed: tuple[str, ...]) -> Iterator[str]:
    for name in given:
        if name not in allowed:
            yield fault(key, name, ", ".join(allowed))
    sources = [source.name for source in Source if source is not Source.mixture]
    if given.get("source") not in sources:
        yield fault(f"{key}.source", given.get("source"), ", ".join(sources))
    columns = list(ColumnsConfig.__dataclass_fields__)
    for name in given.get("columns") or {}:
        if name not in columns:
            yield fault(f"{key}.columns", name, ", ".join(columns))
    weight = given.get(WEIGHT, 1.0)
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not is_number or not 0 < weight < math.inf:
        yield fault(f"{key}.{WEIGHT}", weight, "above 0")
    limit = given.get(LIMIT)
    is_whole = isinstance(limit, int) and not isinstance(limit, bool)
    if limit is not None and not (is_whole and limit >= 1):
        yield fault(f"{key}.{LIMIT}", limit, "1 or more")
