"""Positions on the scale of a range, linear or logarithmic."""

import math


def position(value: float, low: float, high: float, log: bool) -> float:
    """Return where a value is in a range: 0 at its lower end, 1 at its upper end.

    All values of an empty range are at 0.
    """
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / ((high - low) or 1.0)


def value_at(position: float, low: float, high: float, log: bool) -> float:
    """Return the value at a position in a range; the opposite of :func:`position`."""
    if log:
        return math.exp(value_at(position, math.log(low), math.log(high), log=False))
    return low + position * (high - low)
