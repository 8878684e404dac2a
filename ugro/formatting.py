"""How are numbers told to people? Short enough to read, exact enough to compare."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86400


def number(value: Any) -> str:
    """Four digits of a fraction, all of a whole number: 3.295, 0.0005418, 1,024; text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.4g}"


def share(value: float) -> str:
    """A share in per cent; what is not nothing is not told as 0%."""
    if 0 < abs(value) < 0.001:
        return "under 0.1%"
    return f"{value:.1%}" if abs(value) < 0.1 else f"{value:.0%}"


def duration(seconds: float) -> str:
    """Two units at most: 48 s, 3 min 20 s, 5 h 12 min, 2 d 3 h."""
    seconds = max(0.0, seconds)  # two clocks may differ
    whole = round(seconds)
    for unit, name, smaller, below in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s" if seconds >= 1 or seconds == 0 else f"{seconds:.2g} s"


def counted(count: int, what: str) -> str:
    """One trial, two trials."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """A, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def large(count: float) -> str:
    """A large number: 23.4 million, 812 thousand, 4,096."""
    for unit, name in ((1e9, "billion"), (1e6, "million"), (1e5, "thousand")):
        if count >= unit:
            return f"{count / min(unit, 1e3 if name == 'thousand' else unit):,.3g} {name}"
    return f"{count:,.0f}"


def data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Say what became of a trial's documents: a line a part, then a line a note.

    Args:
        data: counts by part in ``parts``, sentences in ``notes``; see docs/analysis.md
    """
    for name, part in data["parts"].items():
        yield (
            f"{name}: {counted(part['documents'], 'document')}, of which "
            f"{counted(part['examples'], 'example')} in {counted(part['rows'], 'row')}, "
            f"{large(part['tokens'])} tokens, {share(part['trained'] / part['tokens'])} with loss"
        )
    yield from data["notes"]


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
