"""The axis of a searched key: numbers, linear or logarithmic, or choices side by side."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy
import pandas
from optuna.distributions import CategoricalDistribution

from ugro.analysis.figures.drawing import labels, ticks
from ugro.analysis.figures.drawing.ticks import Numbers
from ugro.analysis.figures.study_view import StudyView, plottable

MOST = 24  # labels of choices
SPREAD = 0.22  # of the distance between two choices, by which points of one are moved apart


@dataclass(frozen=True)
class KeyAxis:
    """A searched key as an axis.

    Attributes:
        choices: in the order in which they are drawn, at 0, 1, ...; empty for numbers
        log: logarithmic
        integral: whole numbers only
        low, high: the searched range, extended to values that were tried beyond it
    """

    key: str
    choices: tuple[object, ...]
    log: bool = False
    integral: bool = False
    low: float = 0.0
    high: float = 0.0

    @property
    def ordered(self) -> bool:
        """Whether neighbours are similar: numbers, not names."""
        return all(map(_is_number, self.choices))

    def at(self, values: pandas.Series) -> Numbers:
        """Positions of values; NaN where a trial did not search the key."""
        if not self.choices:
            numbers: Numbers = plottable(values).to_numpy(dtype="float64")
            return numpy.where(numbers > 0, numbers, numpy.nan) if self.log else numbers
        places = {choice: at for at, choice in enumerate(self.choices)}
        found = [places.get(_plain(value), numpy.nan) for value in values]
        return numpy.asarray(found, dtype="float64")

    def unit(self, places: Numbers) -> Numbers:
        """Map positions to 0..1, evenly on the axis."""
        low, high = self._ends
        unit: Numbers = ((numpy.log10(places) if self.log else places) - low) / (high - low)
        return unit

    def place(self, unit: Numbers) -> Numbers:
        """Map 0..1 back to positions."""
        low, high = self._ends
        scaled = low + unit * (high - low)
        return 10.0**scaled if self.log else scaled

    def text(self, unit: float) -> str:
        """Format the value at a position in 0..1."""
        place = float(self.place(numpy.array(unit)))
        place = place if self.choices else min(max(place, self.low), self.high)
        if self.choices:
            return labels.choices(self.choices)[min(max(round(place), 0), len(self.choices) - 1)]
        return ticks.short(round(place) if self.integral else float(f"{place:.2g}"), self.log)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        if self.choices:
            return -0.5, len(self.choices) - 0.5
        low, high = (math.log10(one) if self.log else one for one in (self.low, self.high))
        return ticks.padded(low, high, 0.03)

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the axis."""
        low, high = self._ends
        return (10.0**low, 10.0**high) if self.log else (low, high)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Positions and texts of ticks: every choice, or round numbers."""
        if self.choices:
            every = -(-len(self.choices) // MOST)
            texts = labels.choices(self.choices)[::every]
            return [float(at * every) for at in range(len(texts))], texts
        marks = self._round()
        return marks, [ticks.short(one, self.log) for one in marks]

    def _round(self) -> list[float]:
        low, high = self.limits
        if not self.log:
            return ticks.linear(low, high, self.integral)
        twos = ticks.powers_of_two(low, high) if self.integral else []
        return twos if len(twos) > 2 else ticks.logarithmic(low, high)


def key_axis(view: StudyView, key: str) -> KeyAxis:
    """Choose the axis of a searched key."""
    over: Any = view.tables.searched[key]
    values = view.tables.trials[key]
    if isinstance(over, CategoricalDistribution):
        return KeyAxis(key, _choices(over, values))
    tried = plottable(values).dropna()
    if over.log:
        tried = tried[tried > 0]
    ends = [float(over.low), float(over.high), *map(float, tried.agg(["min", "max"]).dropna())]
    return KeyAxis(key, (), bool(over.log), isinstance(over.low, int), min(ends), max(ends))


def spread_out(view: StudyView, axis: KeyAxis) -> Numbers:
    """Positions of trials on a key's axis, those of one choice moved apart to be visible.

    The best and the baseline stay where they are; the same study gives the same positions.
    """
    places = axis.at(view.tables.trials[axis.key])
    if not axis.choices:
        return places
    offsets = numpy.random.default_rng(0).uniform(-SPREAD, SPREAD, len(places))
    return places + offsets * ~view.highlighted


def _choices(over: CategoricalDistribution, values: pandas.Series) -> tuple[object, ...]:
    """List the choices, and other values that were tried; numbers in their order.

    A gap is a trial that did not search the key, or one that tried null: where null is a choice,
    gaps are taken for it.
    """
    tried = [one for one in map(_plain, values.unique()) if one is not None]
    every = list(dict.fromkeys([*map(_plain, over.choices), *tried]))
    numbers: list[Any] = [one for one in every if _is_number(one)]
    return tuple(sorted(numbers) if len(numbers) == len(every) else every)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Any) -> Any:
    """Convert to Python's types; None for a gap."""
    value = value.item() if isinstance(value, numpy.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value
