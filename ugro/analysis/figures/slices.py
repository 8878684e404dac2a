"""The slices: a panel per searched key, its values across, the objective up."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from plotly import graph_objects as go

from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.key_axis import KeyAxis, key_axis, spread_out
from ugro.analysis.figures.drawing.markers import traces
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.points import Points, points_of
from ugro.analysis.figures.drawing.theme import (
    INK,
    beyond,
    joined,
    objective,
    searched_axis,
    value_axis,
)
from ugro.analysis.figures.drawing.window import Window, window_of
from ugro.analysis.figures.study_view import NoDataError, StudyView
from ugro.formatting import counted, share

MOST = 20  # panels
FEWEST = 3  # complete trials of a choice for a median
HEIGHT = 300  # pixels
HALF = 0.34  # of a choice's width: half a median's bar


@dataclass(frozen=True)
class Slice:
    """One key's panel.

    Attributes:
        importance: of the key; None where it is unknown
        medians: position of a choice and the median of its complete trials
    """

    axis: KeyAxis
    importance: float | None
    points: tuple[Points, ...]
    medians: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Slices:
    """What the figure shows; the most important key comes first."""

    finding: str
    objective: str
    window: Window
    slices: tuple[Slice, ...]
    note: str


def prepare(view: StudyView) -> Slices:
    """Collect the data.

    Raises:
        NoDataError: no key was searched, or no trial has a value.
    """
    if not view.keys:
        raise NoDataError("no key was searched")
    if view.latest.isna().all():
        raise NoDataError("no trial has come to a value yet")
    left = len(view.keys) - MOST
    return Slices(
        finding=labels.most_important(view) or labels.headline(view),
        objective=view.objective,
        window=window_of(view),
        slices=tuple(slice_of(view, key) for key in view.keys[:MOST]),
        note=f"{counted(left, 'key')} more not shown." if left > 0 else "",
    )


def slice_of(view: StudyView, key: str) -> Slice:
    """Collect the data of one key."""
    axis = key_axis(view, key)
    points = points_of(view, spread_out(view, axis), view.latest.to_numpy())
    return Slice(axis, view.shares.get(key), points, tuple(_medians(view, axis)))


def _medians(view: StudyView, axis: KeyAxis) -> Iterator[tuple[int, float]]:
    if not axis.choices:
        return
    complete = view.trials["value"].dropna()
    at = axis.at(view.tables.trials.loc[complete.index, axis.key])
    for place in range(len(axis.choices)):
        values = complete[at == place]
        if len(values) >= FEWEST:
            yield place, float(values.median())


def draw(data: Slices) -> list[Panel]:
    """Draw a panel per key."""
    *panels, last = [_panel(data, one) for one in data.slices]
    return [*panels, replace(last, note=joined(data.note, beyond(data.window)))]


def _panel(data: Slices, one: Slice) -> Panel:
    figure = go.Figure(list(traces(one.points)))
    figure.update_layout(
        shapes=[
            {"type": "line", "x0": place - HALF, "x1": place + HALF, "y0": median, "y1": median,
             "layer": "below", "line": {"color": INK, "width": 3}}
            for place, median in one.medians
        ],
        height=HEIGHT,
        showlegend=False,
        xaxis=searched_axis(one.axis, titled=False),
        yaxis=value_axis(data.window, objective(data.objective)),
    )  # fmt: skip
    subtitle = "" if one.importance is None else f"importance {share(one.importance)}"
    return Panel(figure, title=one.axis.key, subtitle=subtitle)
