"""Formatting of numbers, durations, counts and parameters for people."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86400
MIB, GIB = 2**20, 2**30


def number(value: Any) -> str:
    """Format four significant digits, or all digits of an integer: 3.295, 0.0005418, 1,024.

    Values that are not numbers are returned as text.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.4g}"


def gap(value: float, beside: float) -> str:
    """Format a difference; one far below the values that differ as a bound: under 0.0003.

    Args:
        value: the difference
        beside: one of the values
    """
    least = 1e-4 * abs(beside)
    return f"under {least:.1g}" if 0 < value < least else number(value)


def share(value: float) -> str:
    """Format a share as a percentage; a small positive share is not rounded to 0%."""
    if 0 < abs(value) < 0.001:
        return "under 0.1%"
    return f"{value:.1%}" if abs(value) < 0.1 else f"{value:.0%}"


def duration(seconds: float) -> str:
    """Format seconds in at most two units: 48 s, 3 min 20 s, 5 h 12 min, 2 d 3 h."""
    seconds = max(0.0, seconds)  # the clocks of two machines may differ
    rounded = round(seconds)
    for unit, name, smaller, below in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1, "s"),
    ):
        if rounded >= unit:
            rest = rounded % unit // smaller
            return f"{rounded // unit} {name}" + (f" {rest} {below}" if rest else "")
    return f"{rounded} s" if seconds >= 1 or seconds == 0 else f"{seconds:.2g} s"


def counted(count: int, what: str) -> str:
    """Format a count with its noun: 1 trial, 2 trials."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Join words into an enumeration: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def large(count: float) -> str:
    """Format a large number in words: 23.4 million, 812 thousand, 4,096."""
    for unit, name in ((1e9, "billion"), (1e6, "million"), (1e5, "thousand")):
        if count >= unit:
            return f"{count / min(unit, 1e3 if name == 'thousand' else unit):,.3g} {name}"
    return f"{count:,.0f}"


def printable(text: str) -> str:
    """Replace control characters, which a terminal would obey."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in text)


def binary_size(size: float) -> str:
    """Format a number of bytes: 1.50 GiB, 0.25 MiB."""
    return f"{size / GIB:,.2f} GiB" if size >= GIB / 100 else f"{size / MIB:,.2f} MiB"


def decimal_size(size: float) -> str:
    """Format a number of bytes as the memory of GPUs is named: 11.2 GB, of 10^9 bytes."""
    return f"{size / 1e9:,.1f} GB"


def data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Describe a trial's data: a line per part, one of the formats, then a line per note.

    Args:
        data: counts per part in ``parts`` and by format in ``formats``, absent in earlier studies,
            and sentences in ``notes``; see docs/analysis.md
    """
    for name, part in data["parts"].items():
        yield (
            f"{name}: {counted(part['documents'], 'document')}, of which "
            f"{counted(part['examples'], 'example')} in {counted(part['rows'], 'row')}, "
            f"{large(part['tokens'])} tokens, {share(part['trained'] / part['tokens'])} with loss"
        )
    if formats := data.get("formats"):
        counts = [f"{name} ({count:,})" for name, count in formats.items()]
        yield f"read as {listed([*formats] if len(formats) == 1 else counts)}"
    yield from data["notes"]


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Map each key to its last part where that is unique: ``lora.r`` to ``r``."""
    last = {key: key.rpartition(".")[2] for key in keys}
    used = list(last.values())
    return {key: part if used.count(part) == 1 else key for key, part in last.items()}


def short_value(value: object, digits: int = 4) -> str:
    """Format a parameter compactly; a list loses its common suffix.

    ``[q_proj,v_proj]`` becomes ``[q,v]``.

    Args:
        value: a parameter
        digits: significant digits of a float
    """
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    text = str(value)
    if not (text.startswith("[") and text.endswith("]")):
        return text
    parts = [part.strip(" '\"") for part in text[1:-1].split(",")]
    suffixes = {part.rpartition("_")[2] for part in parts if "_" in part}
    if len(suffixes) == 1 and all("_" in part for part in parts):
        parts = [part.rpartition("_")[0] for part in parts]
    return f"[{','.join(parts)}]"


def assignments(parameters: Mapping[str, Any], dense: bool = False) -> list[str]:
    """Format parameters as assignments: ``["r=8", "learning_rate=0.0002"]``.

    Args:
        parameters: values by key
        dense: abbreviate keys to initials for narrow columns: ``["r=8", "lr=0.0002"]``
    """
    names = short_keys(parameters)
    if dense:
        names = _initials(names)
    return [f"{names[key]}={short_value(value)}" for key, value in parameters.items()]


def _initials(names: Mapping[str, str]) -> dict[str, str]:
    """Abbreviate names of several words to initials where these are unique."""
    short = {
        key: "".join(part[:1] for part in name.split("_")) if "_" in name else name
        for key, name in names.items()
    }
    used = list(short.values())
    return {key: name if used.count(name) == 1 else names[key] for key, name in short.items()}


def measured(value: float) -> str:
    """Format a metric in about seven characters: 3.2563, 612.4, 12,345."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.1f}"
    return f"{value:.4f}" if size >= 0.01 or not size else f"{value:.3g}"
