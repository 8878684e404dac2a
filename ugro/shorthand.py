"""How are keys and values written where room is dear?"""

import math
from collections.abc import Iterable, Mapping
from typing import Any


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Each key's last part, where that tells it apart: ``lora.r`` is ``r``."""
    every = list(keys)
    last = [key.rpartition(".")[2] for key in every]
    return {key: one if last.count(one) == 1 else key for key, one in zip(every, last, strict=True)}


def short_value(value: object, digits: int = 4) -> str:
    """A parameter: some significant digits; a list without the ending that all of it shares.

    ``[q_proj,v_proj]`` is ``[q,v]``.
    """
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    text = str(value)
    if not (text.startswith("[") and text.endswith("]")):
        return text
    parts = [part.strip(" '\"") for part in text[1:-1].split(",")]
    endings = {part.rpartition("_")[2] for part in parts if "_" in part}
    if len(endings) == 1 and all("_" in part for part in parts):
        parts = [part.rpartition("_")[0] for part in parts]
    return f"[{','.join(parts)}]"


def assignments(parameters: Mapping[str, Any], dense: bool = False) -> list[str]:
    """``["r=8", "learning_rate=0.0002"]``, or ``["r=8", "lr=0.0002"]`` where room is dear."""
    names = short_keys(parameters)
    if dense:
        names = _initials(names)
    return [f"{names[key]}={short_value(value)}" for key, value in parameters.items()]


def _initials(names: Mapping[str, str]) -> dict[str, str]:
    """Of names of several words, where they tell them apart."""
    short = {key: "".join(part[:1] for part in name.split("_")) for key, name in names.items()}
    short = {key: one if "_" in names[key] else names[key] for key, one in short.items()}
    every = list(short.values())
    return {key: one if every.count(one) == 1 else names[key] for key, one in short.items()}


def measured(value: float) -> str:
    """A metric or an objective, in up to seven characters or so: 3.2563, 612.4, 12,345."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.1f}"
    return f"{value:.4f}" if size >= 0.01 or not size else f"{value:.3g}"
