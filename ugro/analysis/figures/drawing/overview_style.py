"""Style of the overview: type, legend, marks and axes in matplotlib."""

import functools
import math
import os
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, ParamSpec

import matplotlib
import numpy
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from ugro.analysis.figures.drawing import labels, ticks
from ugro.analysis.figures.drawing.key_axis import KeyAxis
from ugro.analysis.figures.drawing.points import Highlight, Points
from ugro.analysis.figures.drawing.theme import BASELINE, BEST, COLOURS, FAINT, GRID, INK
from ugro.analysis.figures.drawing.window import Window
from ugro.analysis.figures.study_view import Kind

P = ParamSpec("P")

MARKERS = {
    Kind.COMPLETE: "o",
    Kind.STOPPED: "o",
    Kind.INFEASIBLE: "s",
    Kind.FAILED: "x",
    Kind.RUNNING: "^",
}
HOLLOW = (Kind.STOPPED, Kind.INFEASIBLE, Kind.RUNNING)  # their values do not count
LETTERS, LINES = 40, 3  # of all tick labels of choices side by side; longer ones stand upright
MANY = 12  # tick labels above which they are small

DPI = 160
BODY, SMALL, LEGEND, HEADLINE = 14.0, 11.5, 13.0, 18.0  # points
_LETTER, _BOLD = 0.0074, 0.0082  # width of a letter, inches per point

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


def plain(text: str) -> str:
    """Escape a text from outside: matplotlib would read a formula."""
    return labels.printable(text).replace("$", r"\$")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw a figure in this style, and restore matplotlib's settings."""

    @functools.wraps(draw)
    def _draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_RC):
            return draw(*args, **kwargs)

    return _draw


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure, in inches, whose layout makes room for labels."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def frame(
    figure: Figure, headline: str, notes: Iterable[str] = (), legend: Sequence[Line2D] = ()
) -> None:
    """Write the texts around the panels, and make room for them.

    Args:
        figure: with its panels
        headline: the finding, in a sentence
        notes: sentences for the foot, in small type
        legend: labelled lines and marks below the panels
    """
    wide, high = figure.get_figwidth(), figure.get_figheight()
    above = _wrapped(plain(headline), (wide - 0.4) * _LETTER / _BOLD, HEADLINE)
    below = _wrapped(plain(" ".join(notes)), wide - 0.3, SMALL)
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
    """The height of wrapped text, in inches."""
    return (text.count("\n") + bool(text)) * 1.25 * points / 72


def _rows(legend: Sequence[Line2D], inches: float) -> int:
    """Count the rows of a legend."""
    widest = sum(0.75 + _LETTER * LEGEND * len(str(one.get_label())) for one in legend)
    return max(1, math.ceil(widest / inches))


def title(axes: Axes, text: str, width: float) -> None:
    """Write the title of a panel, wrapped to its width in inches."""
    axes.set_title(_wrapped(plain(text), width, BODY))


def write_reason(axes: Axes, what: str, why: str, width: float) -> None:
    """Write why a panel is empty."""
    title(axes, what, width)
    axes.set_axis_off()
    text = _wrapped(plain(why), width, BODY)
    axes.text(0, 0.95, text, color=FAINT, va="top", transform=axes.transAxes)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG atomically.

    ``savefig`` would lay out and draw the figure twice.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    canvas, layout = figure.canvas, figure.get_layout_engine()
    assert isinstance(canvas, FigureCanvasAgg)
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        # A script without glyphs in the font is shown as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        if layout is not None:
            layout.execute(figure)
            figure.set_layout_engine("none")
        canvas.print_png(draft)  # type: ignore[no-untyped-call]
    os.replace(draft, path)


def draw_points(axes: Axes, points: Sequence[Points], window: Window) -> None:
    """Draw points, one labelled collection per group; values outside are arrows at the edge.

    Args:
        axes: of the panel
        points: bottom first
        window: of the vertical axis
    """
    many = sum(len(group.numbers) for group in points)
    area = float(numpy.clip(9000 / max(many, 1), 14, 70))
    for at, group in enumerate(points):
        across, up = numpy.array(group.x), numpy.array(group.y)
        placed, outside = window.clipped(up), window.outside(up)
        if isinstance(group.mark, Highlight):
            axes.scatter(across, placed, label=group.mark.value, **_highlight(group.mark))
            continue
        looks = {"zorder": 2.0 + at / 10, **_looks(group.mark, area, many)}
        if not outside.all():
            axes.scatter(across[~outside], placed[~outside], label=group.label, **looks)
        for marker, beyond in (("^", up > window.high), ("v", up < window.low)):
            if beyond.any():
                axes.scatter(
                    across[beyond], placed[beyond], marker=marker, s=area, clip_on=False,
                    color=COLOURS[group.mark],
                )  # fmt: skip


def _looks(kind: Kind, area: float, many: int) -> dict[str, Any]:
    common = {"marker": MARKERS[kind], "s": area}
    if kind in HOLLOW:
        alpha = 0.45 if many > 300 and kind is Kind.STOPPED else 0.9
        return {**common, "facecolors": "none", "edgecolors": COLOURS[kind], "alpha": alpha,
                "linewidths": 0.9 if many > 300 else 1.2}  # fmt: skip
    if kind is Kind.FAILED:
        return {**common, "color": COLOURS[kind], "linewidths": 1.5}
    edge = {"edgecolors": "white", "linewidths": 0.5}
    return {**common, "color": COLOURS[kind], "alpha": 0.85, **edge}


def _highlight(mark: Highlight) -> dict[str, Any]:
    edge: dict[str, Any] = {"linewidths": 1.2, "clip_on": False}
    if mark is Highlight.BEST:
        return {**edge, "marker": "*", "s": 330, "color": BEST, "edgecolors": "black", "zorder": 5}
    return {**edge, "marker": "D", "s": 90, "color": BASELINE, "edgecolors": "white", "zorder": 4}


def legend(figure: Figure, *more: Line2D) -> list[Line2D]:
    """Explain the marks that any of a figure's panels has.

    Args:
        figure: with its panels
        more: further lines to explain
    """
    found = {text for axes in figure.axes for text in axes.get_legend_handles_labels()[1]}
    order = ["best", "baseline", *(kind.value for kind in Kind)]
    return [*(_legend_entry(text) for text in order if text in found), *more]


def _legend_entry(text: str) -> Line2D:
    looks: dict[str, Any] = {"linestyle": "none", "markersize": 9, "label": text}
    if text == Highlight.BEST.value:
        star = {"marker": "*", "color": BEST, "markeredgecolor": "black", "markersize": 16}
        return Line2D([], [], **{**looks, **star})
    if text == Highlight.BASELINE.value:
        return Line2D([], [], marker="D", color=BASELINE, **looks)
    kind = Kind(text)
    if kind in HOLLOW:
        looks["markerfacecolor"] = "none"
    if kind is not Kind.COMPLETE:
        looks["markeredgewidth"] = 1.6
    return Line2D([], [], marker=MARKERS[kind], color=COLOURS[kind], **looks)


def limit_to_window(axes: Axes, side: Literal["x", "y"], window: Window) -> None:
    """Set the range and the ticks of an axis to a window."""
    if window.log:
        (axes.set_xscale if side == "x" else axes.set_yscale)("log")
        marks = window.ticks()
        _set_ticks(axes, side, marks, [ticks.short(one, log=True) for one in marks])
    (axes.set_xlim if side == "x" else axes.set_ylim)(window.low, window.high)


def limit_to_key(axes: Axes, axis: KeyAxis) -> None:
    """Set the horizontal axis to a searched key."""
    if axis.log:
        axes.set_xscale("log")
    places, texts = axis.ticks()
    _set_ticks(axes, "x", places, [plain_lines(text) for text in texts])
    axes.set_xlim(*axis.limits)
    axes.set_xlabel(plain(axis.key))
    if axis.choices:
        _label_choices(axes, axis)
    if len(texts) > MANY:
        axes.xaxis.set_tick_params(labelsize="x-small")


def plain_lines(text: str) -> str:
    """Escape a tick label, which may have several lines."""
    return "\n".join(map(plain, text.split("\n")))


def _label_choices(axes: Axes, axis: KeyAxis) -> None:
    """Write choices side by side, or upright where they do not fit."""
    letters = max(1, LETTERS // len(axis.choices))
    texts = labels.choices(axis.choices, letters, LINES)
    cut = len(axis.choices) > MANY or any("…" in text for text in texts)
    if cut:
        axes.xaxis.set_tick_params(labelrotation=90)
    else:
        _set_ticks(
            axes, "x", [float(at) for at in range(len(texts))], list(map(plain_lines, texts))
        )


def _set_ticks(axes: Axes, side: Literal["x", "y"], places: list[float], texts: list[str]) -> None:
    axis = axes.xaxis if side == "x" else axes.yaxis
    axis.set_ticks(places, texts)
    axis.set_ticks([], minor=True)
