"""How are numbers told to people? Short enough to read, exact enough to compare."""

from collections.abc import Iterator, Mapping, Sequence
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
