"""Where do trials meet to be compared? At rungs: geometric levels of the resource."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy
from numpy.typing import ArrayLike

V = TypeVar("V")
UP_TO_ROUNDING = 1 - 1e-9  # 0.1 * 10 is 1


@dataclass(frozen=True)
class Levels:
    """What a trial scheduler's settings come to, in its resource.

    Attributes:
        grace_period: nothing is stopped before
        max_t: a trial that has come here is finished
        at: where trials are stopped, earliest first
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
    """The levels of trials of a length.

    Args:
        grace_period: in the scheduler's resource; below 1: a share of ``max_t``
        reduction_factor: between two rungs; None: no rungs, from the grace period on at any time
        max_t: in the scheduler's resource; None: a trial's length
        length: of a trial, in the scheduler's resource; None where nobody knows it yet

    Returns:
        None where they depend on a length that nobody knows.
    """
    end = length if max_t is None else max_t
    if end is None:
        return None
    grace = min(grace_period * (end if grace_period < 1 else 1), end)
    if reduction_factor is not None:
        return Levels(grace, end, tuple(_geometric(grace, reduction_factor, end)))
    return Levels(grace, end, (grace,) if grace < end * UP_TO_ROUNDING else ())


def _geometric(first: float, factor: float, end: float) -> Iterator[float]:
    """Levels below the end; there a trial is finished."""
    level = first
    while level < end * UP_TO_ROUNDING:
        yield level
        level *= factor


@dataclass
class Rung(Generic[V]):
    """A level and what trials had reached there, by trial id."""

    level: float
    recorded: dict[str, V] = field(default_factory=dict)


@dataclass
class Track:
    """A trial's last result: where it was and what it had."""

    resource: float
    values: tuple[float, ...]


class Rungs(Generic[V]):
    """The rungs of one bracket, earliest first.

    A trial that reports beyond a level is recorded with what it had *at* the level, interpolated
    between its two reports: else a trial that reports late, as with a large batch, would be
    compared with more tokens than the others. A first report has none before it and counts at
    the last rung that it has come to alone; at all of them it would make their ranks agree.
    """

    def __init__(self, grace_period: float, reduction_factor: float, max_t: float) -> None:
        at = _geometric(grace_period, reduction_factor, max_t)
        self.rungs: list[Rung[V]] = [Rung(level) for level in at]
        self._tracks: dict[str, Track] = {}

    def passed(
        self, trial_id: str, resource: float, values: ArrayLike
    ) -> Iterator[tuple[Rung[V], tuple[float, ...]]]:
        """The rungs that the trial has come to with this result, and its values there.

        Args:
            trial_id: the trial
            resource: of the result
            values: of the result, [count]
        """
        now = numpy.asarray(values, dtype=float)
        before = self._tracks.get(trial_id)
        reached = before.resource if before else 0.0
        self._tracks[trial_id] = Track(resource, tuple(now))
        come_to = [r for r in self.rungs if reached < r.level * UP_TO_ROUNDING <= resource]
        for rung in come_to if before else come_to[-1:]:
            at = now
            if before is not None and resource > rung.level:
                share = (rung.level - before.resource) / (resource - before.resource)
                at = numpy.asarray(before.values) * (1 - share) + now * share
            yield rung, tuple(float(value) for value in at)

    def forget(self, trial_id: str) -> None:
        """A trial is over; what it has recorded stays."""
        self._tracks.pop(trial_id, None)
