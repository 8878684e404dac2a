"""What is to be had of one objective for how much of another? A panel a pair of objectives."""

from itertools import combinations, islice
from typing import Any

import numpy
import pandas
from plotly import graph_objects as go

from ugro.analysis.interactive.look import (
    Panel,
    beyond,
    mark,
    objective,
    together,
    value_axis,
)
from ugro.analysis.interactive.marks import singled_out, trace
from ugro.analysis.pictures.pareto import DOMINATED, FRONT
from ugro.analysis.pictures.style import BEST, COLOURS, INK
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject, drawable
from ugro.analysis.pictures.window import window
from ugro.formatting import counted

MOST = 6  # pairs


def draw(subject: Subject, front: tuple[int, ...]) -> list[Panel]:
    """The front.

    Args:
        subject: the study
        front: the numbers of its trials that no other one beats in every objective

    Raises:
        NothingToDrawError: there is one objective, or no trial is complete.
    """
    names = subject.tables.objectives
    if len(names) < 2:
        raise NothingToDrawError("the study has one objective")
    if not front:
        raise NothingToDrawError("no trial is complete yet")
    return [_pair(subject, front, *pair) for pair in islice(combinations(names, 2), MOST)]


def _pair(subject: Subject, front: tuple[int, ...], across: str, up: str) -> Panel:
    tables = subject.tables
    measured = {name: _measured(subject, name) for name in (across, up)}
    at, height = measured[across].to_numpy(), measured[up].to_numpy()
    there = ~numpy.isnan(at) & ~numpy.isnan(height)
    on_front = numpy.isin(subject.trials.index, front)
    single = [one for one, _, _ in singled_out(subject)]
    rest = there & ~numpy.isin(subject.trials.index, single)
    infeasible = numpy.asarray(subject.trials["kind"] == Kind.INFEASIBLE)
    complete = numpy.asarray(subject.trials["kind"] == Kind.COMPLETE)
    many = len(subject.trials)
    figure = go.Figure()
    for which, name, looks in (
        (infeasible, "infeasible", mark(Kind.INFEASIBLE, many)),
        (complete & ~on_front, DOMINATED, {**mark(Kind.COMPLETE, many), "opacity": 0.45}),
        (on_front, FRONT, _of_front()),
    ):
        if (which & rest).any():
            figure.add_trace(trace(subject, which & rest, at, height, name, looks))
    if len(tables.objectives) == 2:
        figure.add_trace(_line(measured, front, tables.directions[0] == "minimize"))
    for number, word, looks in singled_out(subject):
        own = numpy.asarray(subject.trials.index == number) & there
        if own.any():
            told = f"best {subject.objective}" if word.startswith("best") else word
            figure.add_trace(trace(subject, own, at, height, told, looks))
    axes, notes = _axes(subject, measured, across, up)
    figure.update_layout(xaxis=axes[0], yaxis=axes[1])
    return Panel(
        figure,
        together(
            f"{len(front):,} of {counted(int(complete.sum()), 'complete trial')} {FRONT}.", *notes
        ),
    )


def _measured(subject: Subject, name: str) -> pandas.Series:
    """Of complete trials their values; of infeasible ones what they measured."""
    trials = subject.tables.trials
    infeasible = subject.trials["kind"] == Kind.INFEASIBLE
    return drawable(trials[name]).fillna(drawable(trials[f"measured {name}"]).where(infeasible))


def _of_front() -> dict[str, Any]:
    return {"symbol": "circle", "size": 11, "color": COLOURS[Kind.COMPLETE],
            "line": {"color": INK, "width": 1.2}}  # fmt: skip


def _line(
    measured: dict[str, pandas.Series],
    front: tuple[int, ...],
    minimised: bool,
) -> go.Scatter:
    """What can be had: between two trials no more than the one that is worse across."""
    across, up = measured
    ends = pandas.DataFrame(measured).loc[list(front)].dropna().sort_values([across, up])
    return go.Scatter(
        x=ends[across].to_numpy(), y=ends[up].to_numpy(), mode="lines", hoverinfo="skip",
        name="front", line={"color": BEST, "width": 2, "shape": "hv" if minimised else "vh"},
    )  # fmt: skip


def _axes(
    subject: Subject, measured: dict[str, pandas.Series], across: str, up: str
) -> tuple[list[dict[str, Any]], list[str]]:
    tables = subject.tables
    axes, notes = [], []
    for name in (across, up):
        minimised = tables.directions[tables.objectives.index(name)] == "minimize"
        of_value = window(measured[name], minimised)
        better = "smaller is better" if minimised else "larger is better"
        axes.append(value_axis(of_value, f"{objective(name)}, {better}"))
        notes.append(beyond(of_value))
    return axes, list(dict.fromkeys(notes))
