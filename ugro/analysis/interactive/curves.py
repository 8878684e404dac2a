"""How did trials learn? The objective of every trial at each of its reports."""

import math
from collections.abc import Sequence
from typing import Any

import numpy
import pandas
from plotly import graph_objects as go

from ugro.analysis.comparable import unit
from ugro.analysis.interactive.drawn import drawn
from ugro.analysis.interactive.lines import Places, lines
from ugro.analysis.interactive.look import (
    Panel,
    beyond,
    mark,
    objective,
    together,
    value_axis,
)
from ugro.analysis.pictures import labels
from ugro.analysis.pictures.curves import LOG_FROM, rungs
from ugro.analysis.pictures.style import FAINT
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject, drawable
from ugro.analysis.pictures.window import window
from ugro.formatting import counted

MOST, MOST_POINTS = 400, 60  # trials, and points of one
HEIGHT = 520  # pixels


def draw(subject: Subject) -> Panel:
    """The learning curves.

    Raises:
        NothingToDrawError: no trial has reported twice.
    """
    of_all = len(subject.trials)
    levels = rungs(subject.tables.reports)
    subject = drawn(subject, MOST)
    reports = _reports(subject)
    longest = float(reports["tokens_seen"].max()) if len(reports) else 0.0
    log = len(levels) > 1 and longest >= LOG_FROM * levels[0]
    places = _places(reports[reports["tokens_seen"] > 0] if log else reports)
    if not any(len(one) > 1 for one in places.values()):
        raise NothingToDrawError("no trial has reported more than once")
    chosen = [one for one in (subject.best, subject.baseline) if one is not None]
    of_value = window(
        reports["value"], subject.minimised, reports.loc[reports["number"].isin(chosen), "value"]
    )
    counted_in = unit(subject.tables)
    hover = f"<br>%{{y:.4~g}} at %{{x:,.0f}} {counted_in}"
    figure = go.Figure([*_ends(subject, places), *lines(subject, places, of_value, hover)])
    figure.update_layout(
        height=HEIGHT,
        xaxis=_along(counted_in, levels, longest, log),
        yaxis=value_axis(of_value, _label(subject)),
        **_rungs(levels, log),
    )
    return Panel(figure, together(*_notes(subject, of_all), beyond(of_value)))


def _column(subject: Subject) -> str:
    """What is drawn: of several objectives the first, where trials report it."""
    several = len(subject.tables.objectives) > 1
    return subject.objective if several and subject.objective in subject.tables.reports else "value"


def _label(subject: Subject) -> str:
    if len(subject.tables.objectives) > 1 and _column(subject) == "value":
        return "what trials were compared by"
    return objective(subject.objective)


def _reports(subject: Subject) -> pandas.DataFrame:
    told = subject.tables.reports
    found = told[["number", "tokens_seen"]].assign(value=drawable(told[_column(subject)]))
    return found[found["number"].isin(subject.trials.index)].dropna()


def _places(reports: pandas.DataFrame) -> Places:
    """Each trial's points: of many, some that are spread evenly, its first and last among them."""
    found = {}
    for number, points in reports.groupby("number")[["tokens_seen", "value"]]:
        every = points.to_numpy(dtype="float64")
        if len(every) > MOST_POINTS:
            every = every[numpy.linspace(0, len(every) - 1, MOST_POINTS).round().astype(int)]
        found[int(number)] = every
    return found


def _ends(subject: Subject, places: Places) -> list[go.Scatter]:
    """Where trials were stopped, failed, or have come to."""
    traces = []
    for kind in Kind:
        own = [one for one in places if subject.trials.at[one, "kind"] is kind]
        if kind is Kind.COMPLETE or not own:
            continue
        last = numpy.array([places[one][-1] for one in own])
        end = go.Scatter(
            x=last[:, 0], y=last[:, 1], mode="markers", marker=mark(kind, len(places)),
            customdata=own, name=f"{kind.value}: its end", showlegend=False,
        )  # fmt: skip
        traces.append(end)
    return traces


def _along(counted_in: str, levels: Sequence[float], longest: float, log: bool) -> dict[str, Any]:
    text = "tokens trained on" if counted_in == "tokens" else counted_in
    if not log:
        return {"title": {"text": text}, "rangemode": "tozero"}
    marks = [*levels, longest] if longest > 1.2 * levels[-1] else list(levels)
    told = [labels.amount(one) for one in marks]
    return {"title": {"text": f"{text} (log scale)"}, "type": "log", "tickvals": marks,
            "ticktext": told}  # fmt: skip


def _rungs(levels: Sequence[float], log: bool) -> dict[str, list[dict[str, Any]]]:
    """Lines across at the rungs."""
    shapes = [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "y domain",
         "layer": "below", "line": {"color": FAINT, "width": 1, "dash": "dot"}}
        for at in levels
    ]  # fmt: skip
    texts = [
        {"x": math.log10(at) if log else at, "y": 1, "yref": "y domain", "yanchor": "top",
         "xanchor": "left", "xshift": 2, "text": f"rung {count}", "showarrow": False,
         "textangle": 90, "font": {"size": 11, "color": FAINT}}
        for count, at in enumerate(levels, 1)
    ]  # fmt: skip
    return {"shapes": shapes, "annotations": texts}


def _notes(subject: Subject, of_all: int) -> list[str]:
    part = len(subject.trials)
    some = f"Curves of {part:,} of {counted(of_all, 'trial')}." if part < of_all else ""
    stopped = len(subject.of(Kind.STOPPED))
    ring = "A ring is where a trial was stopped." if stopped else ""
    return [some, ring, "Point at a curve to see its trial."]
