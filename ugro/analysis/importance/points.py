"""Where do trials lie in their search space? As points of a unit cube, whatever their keys are."""

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


@dataclass(frozen=True)
class Axis:
    """A searched key as a line from 0 to 1.

    A key that is searched by its logarithm is laid out by it. Of a finite key each value takes an
    equal share of the line: numbers in their order, other choices in the order that was given.
    """

    key: str
    over: BaseDistribution

    @property
    def ordered(self) -> bool:
        """Whether what lies near is alike: numbers, not names."""
        return not isinstance(self.over, CategoricalDistribution) or all(
            isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one)
            for one in self.over.choices
        )

    def at(self, value: Any) -> float:
        """Where a value lies."""
        over = self.over
        if isinstance(over, CategoricalDistribution):
            return self._choices[int(over.to_internal_repr(value))]
        assert isinstance(over, FloatDistribution | IntDistribution)
        low, high = float(over.low), float(over.high)
        if isinstance(over, IntDistribution):
            low, high = low - 0.5, high + 0.5  # a log range of whole numbers begins at 1
        if low == high:
            return 0.5
        if over.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return float((value - low) / (high - low))

    @cached_property
    def _choices(self) -> list[float]:
        assert isinstance(self.over, CategoricalDistribution)
        choices: Any = self.over.choices
        places = list(range(len(choices)))
        if self.ordered:
            places.sort(key=lambda one: choices[one])
        return [(places.index(one) + 0.5) / len(places) for one in range(len(places))]


@dataclass(frozen=True)
class Points:
    """Trials in their space.

    Attributes:
        axes: the searched keys of which the trials have more than one value
        at: a row a trial, a column an axis; NaN where a trial did not search a key
    """

    axes: tuple[Axis, ...]
    at: NDArray[numpy.float64]

    def filled(self) -> NDArray[numpy.float64]:
        """Without gaps: where a key was not searched it is at its median.

        So the key explains nothing there, and what leaving it out changed is put down to the key
        on which it depends.
        """
        if not self.at.size:
            return self.at
        return numpy.where(numpy.isnan(self.at), numpy.nanmedian(self.at, axis=0), self.at)


def points_of(trials: Sequence[FrozenTrial]) -> Points:
    """The points of these trials."""
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
            seen.setdefault(key, {})[over] = None
    return (Axis(key, united(list(overs))) for key, overs in seen.items())


def united(overs: Sequence[BaseDistribution]) -> BaseDistribution:
    """What holds all over which a key was searched: bounds may change in a study that goes on."""
    latest = overs[-1]
    alike = [one for one in overs if _alike(one, latest)]
    if len(alike) == 1:
        return latest
    if isinstance(latest, CategoricalDistribution):
        choices = [choice for one in alike for choice in getattr(one, "choices", ())]
        return CategoricalDistribution(tuple(dict.fromkeys(choices)))
    bounds = [one for one in alike if isinstance(one, FloatDistribution | IntDistribution)]
    low, high = min(one.low for one in bounds), max(one.high for one in bounds)
    log = all(one.log for one in bounds)
    if all(isinstance(one, IntDistribution) for one in bounds):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _alike(one: BaseDistribution | None, other: BaseDistribution) -> bool:
    """Both of choices, or both of numbers."""
    return one is not None and isinstance(one, CategoricalDistribution) == isinstance(
        other, CategoricalDistribution
    )
