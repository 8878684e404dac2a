"""Map trials to points of a unit cube, with an axis per searched key."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from ugro.space.scale import position
from ugro.study.trial_record import containing


@dataclass(frozen=True)
class Axis:
    """A searched key mapped to the interval from 0 to 1.

    Keys with a log distribution are mapped by their logarithm. The values of a finite key take
    equal shares of the interval: numbers in ascending order, other choices in the given order.
    """

    key: str
    over: BaseDistribution

    @property
    def ordered(self) -> bool:
        """Whether neighbouring positions are similar: numbers rather than names."""
        return not isinstance(self.over, CategoricalDistribution) or all(
            isinstance(choice, int | float)
            and not isinstance(choice, bool)
            and math.isfinite(choice)
            for choice in self.over.choices
        )

    def at(self, value: Any) -> float:
        """Return the position of a value."""
        over = self.over
        if isinstance(over, CategoricalDistribution):
            return self._choices[int(over.to_internal_repr(value))]
        assert isinstance(over, FloatDistribution | IntDistribution)
        low, high = float(over.low), float(over.high)
        if isinstance(over, IntDistribution):
            low, high = low - 0.5, high + 0.5  # log ranges of integers start at 1
        if low == high:
            return 0.5
        return position(value, low, high, over.log)

    @cached_property
    def _choices(self) -> list[float]:
        assert isinstance(self.over, CategoricalDistribution)
        choices: Any = self.over.choices
        places = list(range(len(choices)))
        if self.ordered:
            places.sort(key=lambda place: choices[place])
        return [(places.index(place) + 0.5) / len(places) for place in range(len(places))]


@dataclass(frozen=True)
class Points:
    """Positions of trials.

    Attributes:
        axes: searched keys with more than a single value
        at: positions, [trials, axes]; NaN where a trial did not search a key
    """

    axes: tuple[Axis, ...]
    at: NDArray[numpy.float64]

    def filled(self) -> NDArray[numpy.float64]:
        """Return positions with missing values replaced by the key's median.

        The key then explains nothing for these trials, and the effect of its absence is attributed
        to the key that it depends on.
        """
        if not self.at.size:
            return self.at
        return numpy.where(numpy.isnan(self.at), numpy.nanmedian(self.at, axis=0), self.at)


def points_of(trials: Sequence[FrozenTrial]) -> Points:
    """Return the positions of these trials."""
    axes = list(_axes(trials))
    at = numpy.full((len(trials), len(axes)), numpy.nan)
    for column, axis in enumerate(axes):
        for row, trial in enumerate(trials):
            if _alike(trial.distributions.get(axis.key), axis.over):
                at[row, column] = axis.at(trial.params[axis.key])
    varied = [len(numpy.unique(column[~numpy.isnan(column)])) > 1 for column in at.T]
    kept = [axis for axis, varies in zip(axes, varied, strict=True) if varies]
    return Points(tuple(kept), at[:, varied])


def _axes(trials: Sequence[FrozenTrial]) -> Iterator[Axis]:
    seen: dict[str, dict[BaseDistribution, None]] = {}
    for trial in trials:
        for key, over in trial.distributions.items():
            seen.setdefault(key, {})[containing(over, trial.params[key])] = None
    return (Axis(key, union_of(list(overs))) for key, overs in seen.items())


def union_of(overs: Sequence[BaseDistribution]) -> BaseDistribution:
    """Return the union of a key's distributions, whose bounds may change in a resumed study."""
    latest = overs[-1]
    alike = [over for over in overs if _alike(over, latest)]
    if len(alike) == 1:
        return latest
    if isinstance(latest, CategoricalDistribution):
        choices = [choice for over in alike for choice in getattr(over, "choices", ())]
        return CategoricalDistribution(tuple(dict.fromkeys(choices)))
    bounds = [over for over in alike if isinstance(over, FloatDistribution | IntDistribution)]
    low, high = min(over.low for over in bounds), max(over.high for over in bounds)
    log = all(over.log for over in bounds)
    if all(isinstance(over, IntDistribution) for over in bounds):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _alike(one: BaseDistribution | None, other: BaseDistribution) -> bool:
    """Return whether both are categorical or both are numeric."""
    return one is not None and isinstance(one, CategoricalDistribution) == isinstance(
        other, CategoricalDistribution
    )
