"""Faults of numbers that are out of bounds."""

import math
from collections.abc import Iterator

from ugro.errors import fault


def at_least(key: str, value: float | None, least: float) -> Iterator[str]:
    """Yield a fault unless the value is null or at least this."""
    if value is not None and not value >= least:
        yield fault(key, value, f"{least} or more")


def above_zero(key: str, value: float | None) -> Iterator[str]:
    """Yield a fault unless the value is null, or above 0 and finite."""
    if value is not None and not 0 < value < math.inf:
        yield fault(key, value, "above 0")


def share(key: str, value: float) -> Iterator[str]:
    """Yield a fault unless the value is from 0 to below 1."""
    if not 0 <= value < 1:
        yield fault(key, value, "0 or more, below 1")
