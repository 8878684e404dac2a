"""How is a trial marked in a picture? By its ending, the best and the baseline over all others."""

from collections.abc import Iterator
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ugro.analysis.pictures.key_axis import KeyAxis
from ugro.analysis.pictures.labels import SHADED
from ugro.analysis.pictures.shading import Shading, shades
from ugro.analysis.pictures.style import BASELINE, BEST, COLOURS
from ugro.analysis.pictures.subject import Kind, Subject
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.window import Window

SHAPES = {
    Kind.COMPLETE: "o",
    Kind.STOPPED: "o",
    Kind.INFEASIBLE: "s",
    Kind.FAILED: "x",
    Kind.RUNNING: "^",
}
HOLLOW = (Kind.STOPPED, Kind.INFEASIBLE, Kind.RUNNING)  # their values are none that count
ASIDE = 0.22  # of the way to the next choice
_BELOW_LAST = (Kind.STOPPED, Kind.FAILED, Kind.INFEASIBLE, Kind.RUNNING, Kind.COMPLETE)


def size(trials: int) -> float:
    """Of a mark, in square points: smaller where there are many."""
    return float(numpy.clip(9000 / max(trials, 1), 14, 70))


def mark(
    axes: Axes,
    subject: Subject,
    across: Numbers,
    up: Numbers,
    window: Window | None = None,
    shading: Shading | None = None,
) -> None:
    """Mark trials, those of a kind in one collection labelled with its word.

    Args:
        across, up: where each of the study's trials is, NaN where it is not drawn
        window: of the objective, where ``up`` is that; what lies outside is an arrow at its edge
        shading: for complete trials
    """
    outside = window.outside(up) if window else numpy.zeros(len(up), dtype=bool)
    drawn = ~numpy.isnan(across) & ~numpy.isnan(up)
    placed = window.clipped(up) if window else up
    for kind in _BELOW_LAST:
        of_kind = numpy.asarray(subject.trials["kind"] == kind) & drawn
        within, arrows = of_kind & ~outside, of_kind & outside
        if within.any():
            looks = _looks(kind, size(len(up)), subject, within, shading)
            axes.scatter(across[within], placed[within], label=kind.value, **looks)
        if window and arrows.any():
            shape = "^" if subject.minimised else "v"
            looks = {"marker": shape, "color": COLOURS[kind], "s": size(len(up)), "clip_on": False}
            axes.scatter(across[arrows], placed[arrows], **looks)
    for number, looks in best_and_baseline(subject):
        at = subject.trials.index.get_loc(number)
        if drawn[at]:
            axes.scatter(across[at], placed[at], **looks)


def strewn(subject: Subject, axis: KeyAxis) -> Numbers:
    """Where trials are on a key's axis, those of one choice moved aside that each is seen.

    Each time alike; the best and the baseline are where they are.
    """
    places = axis.at(subject.tables.trials[axis.key])
    if not axis.choices:
        return places
    aside = numpy.random.default_rng(0).uniform(-ASIDE, ASIDE, len(places))
    return places + aside * ~subject.singled_out


def _looks(
    kind: Kind, area: float, subject: Subject, within: Any, shading: Shading | None
) -> dict[str, Any]:
    colour = COLOURS[kind]
    many = len(subject.trials) > 300
    common = {"marker": SHAPES[kind], "s": area, "zorder": 2.0 + _BELOW_LAST.index(kind) / 10}
    if kind is Kind.COMPLETE and shading:
        values = subject.trials["value"].to_numpy()[within]
        colours = {"c": values, "cmap": shading.colours, "norm": shading.scale}
        return {**common, **colours, "s": 1.4 * area, "edgecolors": "white", "linewidths": 0.6}
    if kind in HOLLOW:
        alpha = 0.45 if many and kind is Kind.STOPPED else 0.9
        return {**common, "facecolors": "none", "edgecolors": colour, "alpha": alpha,
                "linewidths": 0.9 if many else 1.2}  # fmt: skip
    if kind is Kind.FAILED:
        return {**common, "color": colour, "linewidths": 1.5}
    return {**common, "color": colour, "alpha": 0.85, "edgecolors": "white", "linewidths": 0.5}


def best_and_baseline(subject: Subject) -> Iterator[tuple[int, dict[str, Any]]]:
    """Their numbers, where there are such, and what their marks look like."""
    edge = {"edgecolors": "black", "linewidths": 1.2, "clip_on": False}
    if subject.baseline is not None:
        looks = {"marker": "D", "s": 90, "color": BASELINE, "zorder": 4, "label": "baseline"}
        yield subject.baseline, {**edge, **looks, "edgecolors": "white"}
    if subject.best is not None:
        looks = {"marker": "*", "s": 330, "color": BEST, "zorder": 5, "label": "best"}
        yield subject.best, {**edge, **looks}


def legend(figure: Figure, *more: Line2D, shaded: bool = False) -> list[Line2D]:
    """What the marks mean that are in any of a figure's panels.

    Args:
        more: lines that are explained besides
        shaded: whether complete trials have the colour of their value
    """
    found = {text for axes in figure.axes for text in axes.get_legend_handles_labels()[1]}
    order = ["best", "baseline", *(kind.value for kind in Kind)]
    return [*(_key(text, shaded) for text in order if text in found), *more]


def _key(text: str, shaded: bool) -> Line2D:
    """The mark that stands for a word in a legend."""
    looks: dict[str, Any] = {"linestyle": "none", "markersize": 9, "label": text}
    if text == "best":
        star = {"marker": "*", "color": BEST, "markeredgecolor": "black", "markersize": 16}
        return Line2D([], [], **{**looks, **star})
    if text == "baseline":
        return Line2D([], [], marker="D", color=BASELINE, **looks)
    kind = Kind(text)
    if shaded and kind is Kind.COMPLETE:
        looks["label"] = SHADED
        return Line2D([], [], marker=SHAPES[kind], color=shades(minimised=True)(0.35), **looks)
    if kind in HOLLOW:
        looks["markerfacecolor"] = "none"
    if kind is not Kind.COMPLETE:
        looks["markeredgewidth"] = 1.6
    return Line2D([], [], marker=SHAPES[kind], color=COLOURS[kind], **looks)
