"""Positions and texts of axis ticks."""

import math
from itertools import count

import numpy
from numpy.typing import NDArray

Numbers = NDArray[numpy.float64]
STEPS = (1.0, 2.0, 2.5, 5.0)  # times a power of ten


def short(value: float, log: bool = False) -> str:
    """Format a number as configurations write it: 0.05, 64, 1e6; on a log axis 5e-3."""
    if value and not (1e-2 if log else 1e-3) <= abs(value) * (1 + 1e-9) < 1e5:
        mantissa, power = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(power)}"
    return f"{value:.6g}"


def linear(low: float, high: float, integral: bool = False, most: int = 5) -> list[float]:
    """Round numbers in equal steps, at most ``most`` intervals."""
    first = math.floor(math.log10((high - low) / most))
    steps = (
        step * 10.0**power
        for power in count(first)
        for step in STEPS
        if not integral or (step * 10.0**power).is_integer()
    )
    for step in steps:
        begin, end = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if end - begin <= most:
            break
    return [float(f"{at * step:.12g}") for at in range(begin, end + 1)]


def logarithmic(low: float, high: float) -> list[float]:
    """Round numbers at even ratios: powers of ten, with 3 or 2 and 5 where those are few."""
    decades = math.log10(high) - math.log10(low)
    steps = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 1.8 else (1.0, 2.0, 5.0)
    every = max(1, round(decades / 6))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [step * 10.0**power for power in powers if power % every == 0 for step in steps]
    visible = [mark for mark in marks if low <= mark <= high]
    return visible if len(visible) > 1 else linear(low, high)


def powers_of_two(low: float, high: float) -> list[float]:
    """1, 2, 4, ...: usual ranks and batch sizes."""
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    every = max(1, (last - first) // 8)
    return [2.0**power for power in range(first, last + 1, every)]


def padded(low: float, high: float, share: float) -> tuple[float, float]:
    """Extend a range by a share of its span at both ends; an empty range is widened."""
    span = high - low
    if span <= 1e-9 * max(abs(low), abs(high)):
        room = 0.05 * max(abs(low), abs(high)) or 1.0
        return low - room, high + room
    return low - share * span, high + share * span
