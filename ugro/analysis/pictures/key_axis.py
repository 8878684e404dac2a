"""How is a searched key drawn? As a line of numbers, by their logarithm or not, or as choices."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy
import pandas
from matplotlib.axes import Axes
from optuna.distributions import CategoricalDistribution

from ugro.analysis.pictures import labels, ticks
from ugro.analysis.pictures.subject import Subject, drawable
from ugro.analysis.pictures.ticks import Numbers, Side

LETTERS, LINES = 40, 3  # of all choices' labels side by side; else they stand upright
MANY, MOST = 12, 24  # labels: from which on they are small, and how many there are at most


@dataclass(frozen=True)
class KeyAxis:
    """A searched key as an axis.

    Attributes:
        choices: in the order in which they are drawn, at 0, 1, ...; empty for a line of numbers
        log: by their logarithm
        whole: whole numbers
        low, high: the range that was searched, and what was tried beyond it
    """

    key: str
    choices: tuple[object, ...]
    log: bool = False
    whole: bool = False
    low: float = 0.0
    high: float = 0.0

    @property
    def ordered(self) -> bool:
        """Whether what lies near is alike: numbers, not names."""
        return all(map(_is_number, self.choices))

    def at(self, values: pandas.Series) -> Numbers:
        """Where values are drawn; NaN where a trial did not search the key."""
        if not self.choices:
            numbers: Numbers = drawable(values).to_numpy(dtype="float64")
            return numpy.where(numbers > 0, numbers, numpy.nan) if self.log else numbers
        places = {choice: at for at, choice in enumerate(self.choices)}
        found = [places.get(_plain(value), numpy.nan) for value in values]
        return numpy.asarray(found, dtype="float64")

    def unit(self, places: Numbers) -> Numbers:
        """From places on the axis to a line from 0 to 1, evenly by what is seen."""
        low, high = self._ends
        unit: Numbers = ((numpy.log10(places) if self.log else places) - low) / (high - low)
        return unit

    def place(self, unit: Numbers) -> Numbers:
        """Back from there."""
        low, high = self._ends
        scaled = low + unit * (high - low)
        return 10.0**scaled if self.log else scaled

    def told(self, unit: float) -> str:
        """What is at a place on that line, in words."""
        place = float(self.place(numpy.array(unit)))
        if self.choices:
            return labels.choices(self.choices)[min(max(round(place), 0), len(self.choices) - 1)]
        return ticks.short(round(place) if self.whole else float(f"{place:.2g}"), self.log)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        if self.choices:
            return -0.5, len(self.choices) - 0.5
        low, high = (math.log10(one) if self.log else one for one in (self.low, self.high))
        return ticks.padded(low, high, 0.03)

    @property
    def limits(self) -> tuple[float, float]:
        """The axis' ends."""
        low, high = self._ends
        return (10.0**low, 10.0**high) if self.log else (low, high)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Where the axis is marked, and how: every choice, or round numbers."""
        if self.choices:
            every = -(-len(self.choices) // MOST)
            texts = labels.choices(self.choices)[::every]
            return [float(at * every) for at in range(len(texts))], texts
        marks = self._round()
        return marks, [ticks.short(one, self.log) for one in marks]

    def _round(self) -> list[float]:
        low, high = self.limits
        if not self.log:
            return ticks.linear(low, high, self.whole)
        twos = ticks.powers_of_two(low, high) if self.whole else []
        return twos if len(twos) > 2 else ticks.logarithmic(low, high)

    def dress(self, axes: Axes, side: Side) -> None:
        """Set an axis to this key, with its name."""
        if self.log:
            ticks.set_log(axes, side)
        places, texts = self.ticks()
        ticks.set_ticks(axes, side, places, texts)
        ticks.set_limits(axes, side, *self.limits)
        axis = ticks.axis_of(axes, side)
        axis.set_label_text(labels.plain(self.key))
        if self.choices and side == "x":
            self._label_below(axes)
        if len(texts) > MANY:
            axis.set_tick_params(labelsize="x-small")

    @property
    def upright(self) -> bool:
        """Whether the choices' labels have no room next to each other."""
        return bool(self.choices) and not labels.fit(self.choices, self._letters, LINES)

    @property
    def _letters(self) -> int:
        """For a label."""
        return LETTERS // len(self.choices)

    def _label_below(self, axes: Axes) -> None:
        if self.upright:
            axes.xaxis.set_tick_params(labelrotation=90)
            return
        texts = labels.choices(self.choices, self._letters, LINES)
        ticks.set_ticks(axes, "x", [float(at) for at in range(len(texts))], texts)


def key_axis(subject: Subject, key: str) -> KeyAxis:
    """How a searched key is drawn."""
    over: Any = subject.tables.searched[key]
    values = subject.tables.trials[key]
    if isinstance(over, CategoricalDistribution):
        return KeyAxis(key, _choices(over, values))
    tried = drawable(values).dropna()
    if over.log:
        tried = tried[tried > 0]
    ends = [float(over.low), float(over.high), *map(float, tried.agg(["min", "max"]).dropna())]
    return KeyAxis(key, (), bool(over.log), isinstance(over.low, int), min(ends), max(ends))


def _choices(over: CategoricalDistribution, values: pandas.Series) -> tuple[object, ...]:
    """What there was to choose from, and what else was tried; numbers in their order.

    A trial that did not search the key has a gap, and so has one that tried null: where null is a
    choice, a gap is taken for it.
    """
    tried = [one for one in map(_plain, values.unique()) if one is not None]
    every = list(dict.fromkeys([*map(_plain, over.choices), *tried]))
    numbers: list[Any] = [one for one in every if _is_number(one)]
    return tuple(sorted(numbers) if len(numbers) == len(every) else every)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Any) -> Any:
    """As Python has it; None for a gap."""
    value = value.item() if isinstance(value, numpy.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value
