"""Which configurations are good ones? Each trial as a line over the searched keys to its value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from plotly import graph_objects as go

from ugro.analysis.interactive.drawn import drawn
from ugro.analysis.interactive.lines import lines
from ugro.analysis.interactive.look import PAPER, Panel, objective, shown, shown_choice, together
from ugro.analysis.pictures import ticks
from ugro.analysis.pictures.key_axis import KeyAxis
from ugro.analysis.pictures.key_axis import key_axis as axis_of
from ugro.analysis.pictures.parallel import ASIDE, LEFT_OUT, MOST
from ugro.analysis.pictures.style import INK
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.window import Window, window_of
from ugro.formatting import counted

MOST_TRIALS = 500
HEIGHT, AN_AXIS = 520, 105  # pixels


def draw(subject: Subject) -> Panel:
    """The parallel coordinates, the most important key next to the objective.

    Raises:
        NothingToDrawError: fewer than two keys were searched, or fewer than two trials complete.
    """
    if len(subject.keys) < 2:
        raise NothingToDrawError("fewer than two keys were searched")
    if subject.trials["value"].count() < 2:
        raise NothingToDrawError("fewer than two trials are complete")
    of_all = len(subject.trials)
    subject = drawn(subject, MOST_TRIALS)
    axes = [axis_of(subject, key) for key in reversed(subject.keys[:MOST])]
    window = window_of(subject, reached=False)
    heights = _heights(subject, axes, window)
    across = numpy.arange(heights.shape[1], dtype="float64")
    shown_kinds = subject.trials["kind"].isin((Kind.COMPLETE, Kind.STOPPED)).to_numpy()
    places = {
        int(number): numpy.column_stack([across, line])
        for number, line, seen in zip(subject.trials.index, heights, shown_kinds, strict=True)
        if seen
    }
    figure = go.Figure(list(lines(subject, places, window, "")))
    skipped = bool((heights[:, :-1] == LEFT_OUT).any())
    rulers = [*map(_of_key, range(len(axes)), axes), _of_value(len(axes), subject, window)]
    figure.update_layout(
        height=HEIGHT,
        margin={"t": 70, "b": 20},
        xaxis={"visible": False, "range": [-0.35, len(axes) + 0.35]},
        yaxis={"visible": False, "range": [LEFT_OUT - 0.03 if skipped else -0.03, 1.03]},
        legend={"y": -0.02, "yanchor": "top"},
        shapes=[ruler.line for ruler in rulers],
        annotations=[text for ruler in rulers for text in ruler.texts],
    )
    left = len(subject.keys) - len(axes)
    notes = (
        f"{counted(left, 'lesser key')} not shown." if left else "",
        "Below an axis: the key was not searched." if skipped else "",
        f"Lines of {len(subject.trials):,} of {of_all:,} trials."
        if len(subject.trials) < of_all
        else "",
        "Point at a line to see its trial; take a kind away by its name in the legend.",
    )
    return Panel(figure, together(*notes), least_width=AN_AXIS * (len(axes) + 1))


def _heights(subject: Subject, axes: Sequence[KeyAxis], window: Window) -> Numbers:
    """Where each trial's line crosses each axis, 0 to 1; the last one is the objective."""
    aside = numpy.random.default_rng(0)
    columns = []
    for axis in axes:
        up = axis.unit(axis.at(subject.tables.trials[axis.key]))
        if axis.choices:
            apart = ASIDE / len(axis.choices)
            up = up + aside.uniform(-apart, apart, len(up)) * ~subject.singled_out
        columns.append(numpy.where(numpy.isnan(up), LEFT_OUT, up))
    values = subject.trials["value"]
    ends = numpy.where(values.isna(), numpy.nan, window.unit(values.fillna(window.low)))
    return numpy.column_stack([*columns, ends])


@dataclass(frozen=True)
class _Ruler:
    """An axis, as plotly's shape and annotations: it has no upright axes inside a figure."""

    line: dict[str, Any]
    texts: list[dict[str, Any]]


def _of_key(at: int, axis: KeyAxis) -> _Ruler:
    places, texts = axis.ticks()
    marks = [shown_choice(text) for text in texts]
    return _ruler(at, axis.unit(numpy.array(places)), marks, shown(axis.key))


def _of_value(at: int, subject: Subject, window: Window) -> _Ruler:
    marks = [ticks.short(one, window.log) for one in window.ticks()]
    return _ruler(at, window.unit(window.ticks()), marks, objective(subject.objective))


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
