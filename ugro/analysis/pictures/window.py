"""Which part of an objective's axis is shown? All good values, and of the bad ones those near."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ugro.analysis.pictures import ticks
from ugro.analysis.pictures.subject import Subject
from ugro.analysis.pictures.ticks import Numbers, Side
from ugro.formatting import counted

FAR = 3.0  # quartile distances beyond the quartile, on the bad side: what lies farther is cut off
DECADES = 1.5  # that values span, from which on they are shown by their logarithm


@dataclass(frozen=True)
class Window:
    """The part that is shown, on a line or by logarithms.

    Attributes:
        beyond: how many values lie outside
    """

    low: float
    high: float
    log: bool
    beyond: int

    def clipped(self, values: Any) -> Numbers:
        """Where values are drawn: those outside at the edge."""
        clipped: Numbers = numpy.clip(numpy.asarray(values, dtype="float64"), self.low, self.high)
        return clipped

    def outside(self, values: Any) -> NDArray[numpy.bool_]:
        """Which values lie beyond the edge."""
        numbers = numpy.asarray(values, dtype="float64")
        outside: NDArray[numpy.bool_] = (numbers < self.low) | (numbers > self.high)
        return outside

    def unit(self, values: Any) -> Numbers:
        """From values to a line from 0 to 1, evenly by what is seen."""
        low, high = self._scaled(numpy.array([self.low, self.high]))
        unit: Numbers = (self._scaled(self.clipped(values)) - low) / (high - low)
        return unit

    def place(self, unit: Numbers) -> Numbers:
        """Back from there."""
        low, high = self._scaled(numpy.array([self.low, self.high]))
        scaled: Numbers = low + unit * (high - low)
        return 10.0**scaled if self.log else scaled

    def _scaled(self, values: Numbers) -> Numbers:
        return numpy.log10(values) if self.log else values

    def ticks(self) -> list[float]:
        """Round values."""
        return (ticks.logarithmic if self.log else ticks.linear)(self.low, self.high)

    def dress(self, axes: Axes, side: Side) -> None:
        """Set an axis to this."""
        if self.log:
            ticks.set_log(axes, side)
            marks = self.ticks()
            ticks.set_ticks(axes, side, marks, [ticks.short(one, log=True) for one in marks])
        ticks.set_limits(axes, side, self.low, self.high)

    @property
    def note(self) -> str:
        """What is not seen."""
        if not self.beyond:
            return ""
        worse = counted(self.beyond, "worse value")
        return f"{worse} beyond the axis, drawn at its edge."


def window(values: Iterable[float], minimised: bool, keep: Iterable[float] = ()) -> Window:
    """The window on some values of an objective.

    Args:
        values: what cannot be drawn is left out
        minimised: whether the large ones are the bad ones
        keep: values that must be seen
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


def window_of(subject: Subject, reached: bool = True) -> Window:
    """The window on a study's first objective.

    Args:
        reached: with what those trials had come to that are not complete
    """
    columns = ["value", "reached"] if reached else ["value"]
    values = subject.trials[columns].to_numpy(dtype="float64").ravel()
    marked = [one for one in (subject.best, subject.baseline) if one is not None]
    return window(values, subject.minimised, map(subject.value, marked))
