"""Rungs: geometric levels of the resource at which trials are compared."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy
from numpy.typing import ArrayLike

V = TypeVar("V")
UP_TO_ROUNDING = 1 - 1e-9  # tolerance for levels such as 0.1 * 10


@dataclass(frozen=True)
class Levels:
    """Settings of a trial scheduler, converted to its resource.

    Attributes:
        grace_period: resource before which no trial is stopped
        max_t: resource at which a trial is finished
        at: levels at which trials are stopped, ascending
    """

    grace_period: float
    max_t: float
    at: tuple[float, ...]


def levels(
    grace_period: float,
    reduction_factor: float | None,
    max_t: float | None,
    length: float | None,
) -> Levels | None:
    """Convert a scheduler's settings to levels of its resource.

    Args:
        grace_period: in the scheduler's resource; below 1: a share of ``max_t``
        reduction_factor: ratio of successive rungs; None: no rungs, a trial may stop at any time
            after the grace period
        max_t: in the scheduler's resource; None: a trial's length
        length: a trial's length in the scheduler's resource; None if unknown

    Returns:
        The levels, or None if they depend on an unknown length.
    """
    end = length if max_t is None else max_t
    if end is None:
        return None
    grace = min(grace_period * (end if grace_period < 1 else 1), end)
    if reduction_factor is not None:
        return Levels(grace, end, tuple(_geometric(grace, reduction_factor, end)))
    return Levels(grace, end, (grace,) if grace < end * UP_TO_ROUNDING else ())


def _geometric(first: float, factor: float, end: float) -> Iterator[float]:
    """Yield geometric levels below the end, where a trial is finished."""
    level = first
    while level < end * UP_TO_ROUNDING:
        yield level
        level *= factor


@dataclass
class Rung(Generic[V]):
    """Level with the records of the trials that reached it, by trial id."""

    level: float
    recorded: dict[str, V] = field(default_factory=dict)


@dataclass
class Track:
    """Last result of a trial: its resource and values."""

    resource: float
    values: tuple[float, ...]


class Rungs(Generic[V]):
    """Rungs of a bracket, in ascending order.

    A trial that reports beyond a level is recorded with its values *at* the level, interpolated
    between two reports; otherwise a trial that reports late, as with a large batch, would be
    compared at more tokens than the others. A first report cannot be interpolated and counts only
    at the last rung reached; counted at all of them it would make their ranks agree.
    """

    def __init__(self, grace_period: float, reduction_factor: float, max_t: float) -> None:
        at = _geometric(grace_period, reduction_factor, max_t)
        self.rungs: list[Rung[V]] = [Rung(level) for level in at]
        self._tracks: dict[str, Track] = {}

    def passed(
        self, trial_id: str, resource: float, values: ArrayLike
    ) -> Iterator[tuple[Rung[V], tuple[float, ...]]]:
        """Yield each rung that the trial reaches with this result, with its values at the level.

        Args:
            trial_id: id of the trial
            resource: resource of the result
            values: values of the result, [values]
        """
        now = numpy.asarray(values, dtype=float)
        before = self._tracks.get(trial_id)
        start = before.resource if before else 0.0
        self._tracks[trial_id] = Track(resource, tuple(now))
        reached = [r for r in self.rungs if start < r.level * UP_TO_ROUNDING <= resource]
        for rung in reached if before else reached[-1:]:
            at_level = now
            if before is not None and resource > rung.level:
                share = (rung.level - before.resource) / (resource - before.resource)
                at_level = numpy.asarray(before.values) * (1 - share) + now * share
            yield rung, tuple(float(value) for value in at_level)

    def forget(self, trial_id: str) -> None:
        """Forget a trial's last result; its records at the rungs remain."""
        self._tracks.pop(trial_id, None)
