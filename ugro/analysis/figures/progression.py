"""The progression: each trial's objective in order, and the best so far."""

from dataclasses import dataclass

import pandas
from plotly import graph_objects as go

from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.markers import traces
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.points import Points, points_of
from ugro.analysis.figures.drawing.theme import BEST, COLOURS, beyond, joined, objective, value_axis
from ugro.analysis.figures.drawing.window import Window, window_of
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView

FEW = 10  # trials: plotly would mark halves


@dataclass(frozen=True)
class Progression:
    """What the figure shows.

    Attributes:
        best_so_far: corners of the staircase, [trial, value]; the last one is the last trial
        failed: numbers of failed trials without a value, drawn at the foot
        baseline: its value; None without one
        trials: their count
        last: the highest number
    """

    finding: str
    objective: str
    window: Window
    points: tuple[Points, ...]
    best_so_far: tuple[tuple[int, float], ...]
    failed: tuple[int, ...]
    baseline: float | None
    trials: int
    last: int
    note: str


def prepare(view: StudyView) -> Progression:
    """Collect the data.

    Raises:
        NoDataError: no trial has a value.
    """
    if view.latest.isna().all():
        raise NoDataError("no trial has come to a value yet")
    numbers = view.trials.index.to_numpy(dtype="float64")
    better = view.improvements(view.trials["value"].dropna())
    failed = view.of(Kind.FAILED)["reached"]
    return Progression(
        finding=labels.headline(view),
        objective=view.objective,
        window=window_of(view),
        points=points_of(view, numbers, view.latest.to_numpy()),
        best_so_far=_staircase(better, int(numbers[-1])),
        failed=tuple(int(one) for one in failed.index[failed.isna()]),
        baseline=None if view.baseline is None else view.value(view.baseline),
        trials=len(numbers),
        last=int(numbers[-1]),
        note=labels.stopped(view),
    )


def _staircase(better: pandas.Series, last: int) -> tuple[tuple[int, float], ...]:
    if better.empty:
        return ()
    corners = [(int(number), float(value)) for number, value in better.items()]
    return (*corners, (last, corners[-1][1]))


def draw(data: Progression) -> Panel:
    """Draw the progression."""
    figure = go.Figure()
    if data.best_so_far:
        across, up = zip(*data.best_so_far, strict=True)
        figure.add_scatter(
            x=across, y=up, mode="lines", name="best so far", hoverinfo="skip",
            line={"color": BEST, "width": 2.5, "shape": "hv"},
        )  # fmt: skip
    figure.add_traces(list(traces(data.points)))
    if data.failed:
        figure.add_scatter(
            x=data.failed, y=[0.02] * len(data.failed), yaxis="y2", mode="markers",
            name="failed, no value", customdata=data.failed,
            marker={"symbol": "x", "size": 7, "color": COLOURS[Kind.FAILED]},
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": {"text": "trial"}, "tickformat": ",d"}
        | ({"dtick": 1} if data.trials <= FEW else {}),
        yaxis=value_axis(data.window, objective(data.objective)),
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    )
    return Panel(figure, joined(data.note, beyond(data.window)))
