"""Where is an axis marked, how far does it go, and how are its numbers written?"""

import math
from typing import Literal

import numpy
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

Numbers = NDArray[numpy.float64]
Side = Literal["x", "y"]


def axis_of(axes: Axes, side: Side) -> Axis:
    """One of the two axes of a panel."""
    return axes.xaxis if side == "x" else axes.yaxis


def set_log(axes: Axes, side: Side, base: float = 10) -> None:
    """Have an axis show logarithms."""
    if side == "x":
        axes.set_xscale("log", base=base)
    else:
        axes.set_yscale("log", base=base)


def set_limits(axes: Axes, side: Side, low: float, high: float) -> None:
    """Have an axis go from here to there."""
    if side == "x":
        axes.set_xlim(low, high)
    else:
        axes.set_ylim(low, high)


def set_ticks(axes: Axes, side: Side, places: list[float], texts: list[str]) -> None:
    """Mark an axis here and nowhere else."""
    axis = axis_of(axes, side)
    axis.set_ticks(places, texts)
    axis.set_ticks([], minor=True)


def resource(axes: Axes, side: Side, text: str) -> None:
    """An axis that counts tokens or steps: 200k, 1M."""
    axis = axis_of(axes, side)
    axis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_label_text(text)


def short(value: float, log: bool = False) -> str:
    """A number as configurations have it: 0.05, 64, 1e6; beside powers of ten, 5e-3."""
    if value and not (1e-2 if log else 1e-3) <= abs(value) * (1 + 1e-9) < 1e5:
        mantissa, power = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(power)}"
    return f"{value:.6g}"


def linear(low: float, high: float, whole: bool = False, most: int = 5) -> list[float]:
    """Round numbers in equal steps, about so many."""
    found = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10], integer=whole).tick_values(low, high)
    return [float(one) for one in found if low <= one <= high]


def logarithmic(low: float, high: float) -> list[float]:
    """Round numbers at even ratios: powers of ten, with 3 or 2 and 5 where those are few."""
    decades = math.log10(high) - math.log10(low)
    steps = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 1.8 else (1.0, 2.0, 5.0)
    every = max(1, round(decades / 6))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [step * 10.0**power for power in powers if power % every == 0 for step in steps]
    seen = [mark for mark in marks if low <= mark <= high]
    return seen if len(seen) > 1 else linear(low, high)


def powers_of_two(low: float, high: float) -> list[float]:
    """1, 2, 4, ...: the ranks and batch sizes that people try."""
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    every = max(1, (last - first) // 8)
    return [2.0**power for power in range(first, last + 1, every)]


def padded(low: float, high: float, share: float) -> tuple[float, float]:
    """A range with some room at its ends; one of nothing is opened."""
    span = high - low
    if span <= 1e-9 * max(abs(low), abs(high)):
        room = 0.05 * max(abs(low), abs(high)) or 1.0
        return low - room, high + room
    return low - share * span, high + share * span
