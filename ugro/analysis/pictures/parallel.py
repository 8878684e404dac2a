"""Which configurations are good ones? Each trial as a line over the searched keys to its value."""

from collections.abc import Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from ugro.analysis.pictures import labels, ticks
from ugro.analysis.pictures.key_axis import KeyAxis, key_axis
from ugro.analysis.pictures.shading import Shading, shades, shading_of
from ugro.analysis.pictures.style import (
    BASELINE,
    BEST,
    COLOURS,
    INK,
    SMALL,
    frame,
    new_figure,
    styled,
)
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.window import Window, window_of
from ugro.formatting import counted

MOST, MOST_STOPPED, MOST_LINES = 9, 300, 3000  # keys, stopped trials, complete ones, best first
LEFT_OUT = -0.09  # where a line is that did not search a key: below the axis
ASIDE = 0.3  # of a choice's share of the axis, that lines are moved apart
STRIP = 0.07  # the width of the objective's axis


@styled
def draw(subject: Subject) -> Figure:
    """The parallel coordinates, the most important key next to the objective.

    Raises:
        NothingToDrawError: fewer than two keys were searched, or fewer than two trials complete.
    """
    if len(subject.keys) < 2:
        raise NothingToDrawError("fewer than two keys were searched")
    if subject.trials["value"].count() < 2:
        raise NothingToDrawError("fewer than two trials are complete")
    drawn = [key_axis(subject, key) for key in reversed(subject.keys[:MOST])]
    figure = new_figure(max(12.0, 1.85 * (len(drawn) + 1)), 7.6)
    axes = figure.subplots()
    window = window_of(subject, reached=False)
    heights = _heights(subject, drawn, window)
    _lines(axes, subject, heights, shading_of(window, subject.minimised))
    _best_and_baseline(axes, subject, heights)
    for at, axis in enumerate(drawn):
        places, texts = axis.ticks()
        _axis(axes, at, axis.unit(numpy.array(places)), texts, axis.key)
    _objective(axes, len(drawn), subject, window)
    skipped = bool((heights[:, :-1] == LEFT_OUT).any())
    axes.set_xlim(-0.1, len(drawn) + STRIP)
    axes.set_ylim(LEFT_OUT - 0.02 if skipped else -0.02, 1.02)
    axes.set_axis_off()
    left = len(subject.keys) - len(drawn)
    notes = [
        f"{counted(left, 'lesser key')} not shown." if left else "",
        "Below an axis: the key was not searched." if skipped else "",
        window.note,
    ]
    frame(figure, labels.headline(subject), notes, _legend(subject))
    return figure


def _heights(subject: Subject, drawn: Sequence[KeyAxis], window: Window) -> Numbers:
    """Where each trial's line crosses each axis, 0 to 1; the last one is the objective."""
    aside = numpy.random.default_rng(0)
    columns = []
    for axis in drawn:
        up = axis.unit(axis.at(subject.tables.trials[axis.key]))
        if axis.choices:
            apart = ASIDE / len(axis.choices)
            up = up + aside.uniform(-apart, apart, len(up)) * ~subject.singled_out
        columns.append(numpy.where(numpy.isnan(up), LEFT_OUT, up))
    return numpy.column_stack([*columns, window.unit(subject.trials["value"])])


def _lines(axes: Axes, subject: Subject, heights: Numbers, shading: Shading) -> None:
    """Complete trials in the colour of their value; behind them the keys of stopped ones."""
    across = numpy.arange(heights.shape[1])
    stopped = heights[numpy.asarray(subject.trials["kind"] == Kind.STOPPED), :-1]
    if len(stopped) > MOST_STOPPED:
        stopped = stopped[numpy.random.default_rng(0).permutation(len(stopped))[:MOST_STOPPED]]
    if len(stopped):
        axes.add_collection(LineCollection(
            [numpy.column_stack([across[:-1], line]) for line in stopped],
            colors=COLOURS[Kind.STOPPED], linewidths=0.8, label=Kind.STOPPED.value,
            alpha=float(numpy.clip(12 / len(stopped), 0.04, 0.3)), rasterized=True,
        ))  # fmt: skip
    drawn = subject.trials["value"].notna().to_numpy() & ~subject.singled_out
    values, complete = subject.trials["value"][drawn], heights[drawn]
    order = numpy.argsort(-values.to_numpy() if subject.minimised else values.to_numpy())
    order = order[-MOST_LINES:]
    lines = LineCollection(
        [numpy.column_stack([across, line]) for line in complete[order]], linewidths=1.8,
        cmap=shading.colours, norm=shading.scale, label=Kind.COMPLETE.value, rasterized=True,
        alpha=float(numpy.clip(80 / max(len(complete), 1), 0.25, 0.9)), zorder=2,
    )  # fmt: skip
    lines.set_array(values.to_numpy()[order])
    axes.add_collection(lines)


def _best_and_baseline(axes: Axes, subject: Subject, heights: Numbers) -> None:
    edge = [Stroke(linewidth=6.5, foreground="white"), Normal()]
    for number, word, colour, style in (
        (subject.baseline, "baseline", BASELINE, "--"),
        (subject.best, "best", BEST, "-"),
    ):
        if number is None:
            continue
        line = heights[subject.trials.index.get_loc(number)]
        axes.plot(
            numpy.arange(len(line)), line, color=colour, linestyle=style, linewidth=4, zorder=3,
            label=word, path_effects=edge if word == "best" else None,
        )  # fmt: skip


def _axis(axes: Axes, at: float, heights: Numbers, texts: Sequence[str], name: str) -> None:
    axes.plot([at, at], [0, 1], color=INK, linewidth=1.5, zorder=4)
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0}
    for height, text in zip(heights, texts, strict=True):
        axes.plot([at - 0.025, at], [height, height], color=INK, linewidth=1.5, zorder=4)
        axes.text(at - 0.04, height, text, ha="right", va="center", fontsize=SMALL, zorder=5,
                  bbox=behind)  # fmt: skip
    axes.text(at, 1.04, labels.plain(name).replace(".", ".\n"), ha="center")


def _objective(axes: Axes, at: int, subject: Subject, window: Window) -> None:
    """The last axis, in the colours of the lines."""
    edges = numpy.linspace(0, 1, 129)
    axes.pcolormesh(
        [at, at + STRIP], edges, window.place((edges[:-1] + edges[1:]) / 2)[:, None],
        cmap=shades(subject.minimised), norm=shading_of(window, subject.minimised).scale, zorder=4,
    )  # fmt: skip
    for value in window.ticks():
        height = float(window.unit(value))
        text = ticks.short(value, window.log)
        axes.text(at + STRIP + 0.03, height, text, va="center", fontsize=SMALL)
    name = labels.label(subject.objective).replace(" (", "\n(")
    axes.text(at + STRIP / 2, 1.04, name, ha="center", fontweight="bold")


def _legend(subject: Subject) -> list[Line2D]:
    lines = [Line2D([], [], color=BEST, linewidth=4, label="best")]
    if subject.baseline is not None:
        lines.append(Line2D([], [], color=BASELINE, linestyle="--", linewidth=3, label="baseline"))
    complete = shades(minimised=True)(0.35)
    lines.append(Line2D([], [], color=complete, linewidth=2, label=labels.SHADED))
    if len(subject.of(Kind.STOPPED)):
        grey = COLOURS[Kind.STOPPED]
        lines.append(Line2D([], [], color=grey, linewidth=1, label=Kind.STOPPED.value))
    return lines
