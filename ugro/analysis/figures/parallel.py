"""Parallel coordinates: each trial as a line over the searched keys to its value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from plotly import graph_objects as go

from ugro.analysis.figures.downsampling import downsampled
from ugro.analysis.figures.drawing import labels, ticks
from ugro.analysis.figures.drawing.key_axis import KeyAxis, key_axis
from ugro.analysis.figures.drawing.lines import Lines, lines_of, traces
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.theme import (
    INK,
    PAPER,
    escaped,
    escaped_lines,
    joined,
    objective,
)
from ugro.analysis.figures.drawing.ticks import Numbers
from ugro.analysis.figures.drawing.window import Window, window_of
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView
from ugro.formatting import counted

MOST_KEYS, MOST_TRIALS = 9, 500
BELOW = -0.09  # height of a line at a key that its trial did not search
SPREAD = 0.3  # of a choice's share of the axis, by which lines are moved apart
HEIGHT, AXIS_WIDTH = 520, 105  # pixels


@dataclass(frozen=True)
class Parallel:
    """What the figure shows.

    Attributes:
        axes: the most important key last, next to the objective
        lines: [axes + 1, 2]: the axis and the height, 0 to 1; NaN where there is no value
        gaps: whether some trials did not search some key
    """

    finding: str
    objective: str
    minimised: bool
    axes: tuple[KeyAxis, ...]
    window: Window
    lines: tuple[Lines, ...]
    gaps: bool
    note: str


def prepare(view: StudyView) -> Parallel:
    """Collect the data.

    Raises:
        NoDataError: fewer than two keys were searched, or fewer than two trials are complete.
    """
    if len(view.keys) < 2:
        raise NoDataError("fewer than two keys were searched")
    if view.trials["value"].count() < 2:
        raise NoDataError("fewer than two trials are complete")
    part = downsampled(view, MOST_TRIALS)
    axes = tuple(key_axis(part, key) for key in reversed(part.keys[:MOST_KEYS]))
    scale = window_of(part, reached=False)
    heights = _heights(part, axes, scale)
    across = numpy.arange(heights.shape[1], dtype="float64")
    drawn = part.trials["kind"].isin((Kind.COMPLETE, Kind.STOPPED)).to_numpy()
    lines = {
        int(number): numpy.column_stack([across, line])
        for number, line, own in zip(part.trials.index, heights, drawn, strict=True)
        if own
    }
    gaps = bool((heights[:, :-1] == BELOW).any())
    left, sampled = len(view.keys) - len(axes), len(part.trials) < len(view.trials)
    return Parallel(
        finding=labels.headline(view),
        objective=view.objective,
        minimised=view.minimised,
        axes=axes,
        window=scale,
        lines=lines_of(part, lines, scale),
        gaps=gaps,
        note=joined(
            f"{counted(left, 'less important key')} not shown." if left else "",
            "Below an axis: the trial did not search the key." if gaps else "",
            f"Lines of {len(part.trials):,} of {len(view.trials):,} trials." if sampled else "",
        ),
    )


def _heights(view: StudyView, axes: Sequence[KeyAxis], scale: Window) -> Numbers:
    """Where each trial's line crosses each axis, 0 to 1; the objective's axis is last."""
    offsets = numpy.random.default_rng(0)
    columns = []
    for axis in axes:
        up = axis.unit(axis.at(view.tables.trials[axis.key]))
        if axis.choices:
            apart = SPREAD / len(axis.choices)
            up = up + offsets.uniform(-apart, apart, len(up)) * ~view.highlighted
        columns.append(numpy.where(numpy.isnan(up), BELOW, up))
    values = view.trials["value"]
    ends = numpy.where(values.isna(), numpy.nan, scale.unit(values.fillna(scale.low)))
    return numpy.column_stack([*columns, ends])


def draw(data: Parallel) -> Panel:
    """Draw the lines and the axes."""
    count = len(data.axes)
    figure = go.Figure(list(traces(data.lines, data.minimised, "")))
    rulers = [*map(_of_key, range(count), data.axes), _of_value(count, data)]
    figure.update_layout(
        height=HEIGHT,
        margin={"t": 70, "b": 20},
        xaxis={"visible": False, "range": [-0.35, count + 0.35]},
        yaxis={"visible": False, "range": [BELOW - 0.03 if data.gaps else -0.03, 1.03]},
        legend={"y": -0.02, "yanchor": "top"},
        shapes=[ruler.line for ruler in rulers],
        annotations=[text for ruler in rulers for text in ruler.texts],
    )
    hint = "Point at a line to see its trial; click a legend entry to hide a kind."
    return Panel(figure, data.note, hint, least_width=AXIS_WIDTH * (count + 1))


@dataclass(frozen=True)
class _Ruler:
    """A vertical axis as a plotly shape and annotations: plotly has none inside a figure."""

    line: dict[str, Any]
    texts: list[dict[str, Any]]


def _of_key(at: int, axis: KeyAxis) -> _Ruler:
    places, texts = axis.ticks()
    marks = [escaped_lines(text) for text in texts]
    return _ruler(at, axis.unit(numpy.array(places)), marks, escaped(axis.key))


def _of_value(at: int, data: Parallel) -> _Ruler:
    values = data.window.ticks()
    marks = [ticks.short(one, data.window.log) for one in values]
    return _ruler(at, data.window.unit(values), marks, objective(data.objective))


def _ruler(at: int, heights: Numbers, marks: Sequence[str], name: str) -> _Ruler:
    texts = [
        {"x": at, "y": float(height), "text": mark, "showarrow": False, "xanchor": "right",
         "xshift": -4, "font": {"size": 11}, "bgcolor": PAPER, "opacity": 0.8, "borderpad": 1}
        for height, mark in zip(heights, marks, strict=True)
    ]  # fmt: skip
    words = name.replace(".", ".<br>", 1).replace(" (", "<br>(")
    title = {"x": at, "y": 1, "yref": "y domain", "yanchor": "bottom", "yshift": 10,
             "text": words, "showarrow": False, "font": {"size": 12}}  # fmt: skip
    line = {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1,
            "line": {"color": INK, "width": 1.5}}  # fmt: skip
    return _Ruler(line, [*texts, title])
