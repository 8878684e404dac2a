"""How do all pictures look? One palette, one size of type, one way into a file.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color), which colour-blind people can tell
apart, and viridis. An ending has the same colour in every picture.
"""

import functools
import math
import os
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from ugro.analysis.pictures.subject import Kind

P = ParamSpec("P")

COLOURS = {
    Kind.COMPLETE: "#0072B2",  # blue
    Kind.STOPPED: "#8C8C8C",  # most trials of a study are stopped: they are the background
    Kind.INFEASIBLE: "#CC79A7",  # reddish purple
    Kind.FAILED: "#D55E00",  # vermilion
    Kind.RUNNING: "#56B4E9",  # sky blue
}
BEST = "#E69F00"  # orange
DARK_BEST = "#A86F00"  # the same, dark enough for letters
BASELINE = "#000000"
CUT_OFF = "#F0E442"  # yellow: a stay in a slot after which its trial went on elsewhere
INK, FAINT, GRID = "#222222", "#5F5F5F", "#E6E6E6"

WIDTH, HEIGHT = 12.0, 6.75  # inches: a slide
DPI = 160
BODY, SMALL, LEGEND, HEADLINE = 14.0, 11.5, 13.0, 18.0  # points
_LETTER, _BOLD = 0.0074, 0.0082  # the width of a letter, inches a point

_RC: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": BODY,
    "axes.titlesize": BODY,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": BODY,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 6),
    "axes.formatter.use_mathtext": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 12.5,
    "ytick.labelsize": 12.5,
    "legend.frameon": False,
    "legend.fontsize": LEGEND,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Have a figure drawn in this style; matplotlib's own settings are as before afterwards."""

    @functools.wraps(draw)
    def _draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_RC):
            return draw(*args, **kwargs)

    return _draw


def new_figure(width: float = WIDTH, height: float = HEIGHT) -> Figure:
    """An empty figure, inches wide and high, whose layout makes room for every label."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def frame(
    figure: Figure, headline: str, notes: Iterable[str] = (), legend: Sequence[Line2D] = ()
) -> None:
    """Write what stands around a figure's panels, and make room for it.

    Args:
        headline: what the figure shows, in a sentence
        notes: sentences for the foot, in small type; empty ones are left out
        legend: lines and marks under the panels, each labelled
    """
    wide, high = figure.get_figwidth(), figure.get_figheight()
    above = _wrapped(headline, (wide - 0.4) * _LETTER / _BOLD, HEADLINE)
    below = _wrapped(" ".join(filter(None, notes)), wide - 0.3, SMALL)
    left, edge = 0.15 / wide, 0.12 / high
    figure.text(left, 1 - edge, above, va="top", fontsize=HEADLINE, fontweight="bold")
    figure.text(left, edge, below, va="bottom", fontsize=SMALL, color=FAINT)
    foot = (2 + bool(below)) * edge + _height(below, SMALL) / high
    rows = _rows(legend, wide - 0.3)
    if legend:
        figure.legend(
            handles=list(legend), loc="lower left", bbox_to_anchor=(left, foot - edge),
            ncols=-(-len(legend) // rows), handletextpad=0.4, columnspacing=1.5, borderpad=0,
            borderaxespad=0,
        )  # fmt: skip
        foot += rows * 1.6 * LEGEND / 72 / high
    head = 2 * edge + _height(above, HEADLINE) / high
    layout = figure.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine)
    layout.set(rect=(0, foot, 1, 1 - foot - head))


def _wrapped(text: str, inches: float, points: float) -> str:
    return "\n".join(textwrap.wrap(text, int(inches / (_LETTER * points))))


def _height(text: str, points: float) -> float:
    """Of wrapped text, in inches."""
    return (text.count("\n") + bool(text)) * 1.25 * points / 72


def _rows(legend: Sequence[Line2D], inches: float) -> int:
    """How many a legend takes."""
    widest = sum(0.75 + _LETTER * LEGEND * len(str(one.get_label())) for one in legend)
    return max(1, math.ceil(widest / inches))


def title(axes: Axes, text: str, width: float) -> None:
    """What one of several panels shows, wrapped to its width in inches."""
    axes.set_title(_wrapped(text, width, BODY))


def say(axes: Axes, what: str, why: str, width: float) -> None:
    """A panel of words, where there is nothing to draw."""
    title(axes, what, width)
    axes.set_axis_off()
    text = _wrapped(why, width, BODY)
    axes.text(0, 0.95, text, color=FAINT, va="top", transform=axes.transAxes)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG that nobody ever sees half-written.

    ``savefig`` would lay the figure out twice and draw it twice.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    canvas, layout = figure.canvas, figure.get_layout_engine()
    assert isinstance(canvas, FigureCanvasAgg)
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        # A name in a script that the font has not: it is shown as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        if layout is not None:
            layout.execute(figure)
            figure.set_layout_engine("none")
        canvas.print_png(draft)  # type: ignore[no-untyped-call]
    os.replace(draft, path)
