"""Where do trials meet to be compared? At rungs: geometric levels of the resource."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy
from numpy.typing import ArrayLike

V = TypeVar("V")


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
        self.rungs: list[Rung[V]] = []
        level = grace_period
        while level < max_t * (1 - 1e-9):  # at max_t a trial is finished
            self.rungs.append(Rung(level))
            level *= reduction_factor
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
        come_to = [rung for rung in self.rungs if reached < rung.level * (1 - 1e-9) <= resource]
        for rung in come_to if before else come_to[-1:]:
            at = now
            if before is not None and resource > rung.level:
                share = (rung.level - before.resource) / (resource - before.resource)
                at = numpy.asarray(before.values) * (1 - share) + now * share
            yield rung, tuple(float(value) for value in at)

    def forget(self, trial_id: str) -> None:
        """A trial is over; what it has recorded stays."""
        self._tracks.pop(trial_id, None)
