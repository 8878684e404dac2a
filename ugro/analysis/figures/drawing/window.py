"""The visible range of an objective: all good values, and the bad ones that are not far off."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from ugro.analysis.figures.drawing import ticks
from ugro.analysis.figures.drawing.ticks import Numbers
from ugro.analysis.figures.study_view import StudyView

FAR = 3.0  # interquartile ranges beyond the quartile on the bad side: Tukey's outer fence
DECADES = 1.5  # span of values above which the axis is logarithmic


@dataclass(frozen=True)
class Window:
    """A range of values, linear or logarithmic.

    Attributes:
        beyond: number of values outside
    """

    low: float
    high: float
    log: bool
    beyond: int

    def clipped(self, values: Any) -> Numbers:
        """Move values outside to the nearer edge."""
        clipped: Numbers = numpy.clip(numpy.asarray(values, dtype="float64"), self.low, self.high)
        return clipped

    def outside(self, values: Any) -> NDArray[numpy.bool_]:
        """Whether each value lies beyond an edge."""
        numbers = numpy.asarray(values, dtype="float64")
        outside: NDArray[numpy.bool_] = (numbers < self.low) | (numbers > self.high)
        return outside

    def unit(self, values: Any) -> Numbers:
        """Map values to 0..1, evenly on the axis."""
        low, high = self._scaled(numpy.array([self.low, self.high]))
        unit: Numbers = (self._scaled(self.clipped(values)) - low) / (high - low)
        return unit

    def place(self, unit: Numbers) -> Numbers:
        """Map 0..1 back to values."""
        low, high = self._scaled(numpy.array([self.low, self.high]))
        scaled: Numbers = low + unit * (high - low)
        return 10.0**scaled if self.log else scaled

    def _scaled(self, values: Numbers) -> Numbers:
        return numpy.log10(values) if self.log else values

    def ticks(self) -> list[float]:
        """Round values."""
        return (ticks.logarithmic if self.log else ticks.linear)(self.low, self.high)


def window(values: Iterable[float], minimised: bool, keep: Iterable[float] = ()) -> Window:
    """Choose the window on some values of an objective.

    Args:
        values: NaN and infinities are ignored
        minimised: whether large values are bad
        keep: values that must be visible
    """
    given = numpy.asarray(list(values), dtype="float64")
    found = given[numpy.isfinite(given)]
    if not found.size:
        return Window(0.0, 1.0, log=False, beyond=0)
    log = _spans_decades(found, minimised)
    scaled = numpy.log10(found) if log else found
    low, high = float(scaled.min()), float(scaled.max())
    first, third = (float(one) for one in numpy.quantile(scaled, (0.25, 0.75)))
    far = FAR * (third - first)
    if far and minimised:
        high = min(high, third + far)
    elif far:
        low = max(low, first - far)
    kept = [math.log10(one) if log else one for one in keep if math.isfinite(one)]
    low, high = ticks.padded(min([low, *kept]), max([high, *kept]), 0.06)
    if log:
        low, high = 10.0**low, 10.0**high
    return Window(low, high, log, int(((found < low) | (found > high)).sum()))


def _spans_decades(found: Numbers, minimised: bool) -> bool:
    """Whether all but the worst tenth differ by factors."""
    if found.min() <= 0:
        return False
    low, high = (0.0, 0.9) if minimised else (0.1, 1.0)
    ends = [float(numpy.quantile(found, one)) for one in (low, high)]
    return math.log10(ends[1]) - math.log10(ends[0]) > DECADES


def window_of(view: StudyView, reached: bool = True) -> Window:
    """Choose the window on a study's first objective.

    Args:
        view: the study
        reached: include what incomplete trials had reached
    """
    columns = ["value", "reached"] if reached else ["value"]
    values = view.trials[columns].to_numpy(dtype="float64").ravel()
    marked = [one for one in (view.best, view.baseline) if one is not None]
    return window(values, view.minimised, map(view.value, marked))
