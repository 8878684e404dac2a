"""What did it cost to get so far? The best value against tokens, and against time in slots."""

import numpy
import pandas
from plotly import graph_objects as go

from ugro.analysis.comparable import unit
from ugro.analysis.interactive.look import Panel, objective, value_axis
from ugro.analysis.pictures import labels
from ugro.analysis.pictures.style import BASELINE, BEST
from ugro.analysis.pictures.subject import NothingToDrawError, Subject
from ugro.analysis.pictures.window import window

HEIGHT = 360  # pixels


def draw(subject: Subject) -> list[Panel]:
    """The cost, one panel for each kind of it that is known.

    Raises:
        NothingToDrawError: no trial is complete, or neither tokens nor times are known.
    """
    values = subject.trials["value"].dropna()
    if values.empty:
        raise NothingToDrawError("no trial is complete yet")
    counted_in = unit(subject.tables)
    panels = [
        _panel(subject, values, _tokens(subject), f"{counted_in} of all trials"),
        _panel(subject, values, *_seconds(subject)),
    ]
    found = [panel for panel in panels if panel]
    if not found:
        raise NothingToDrawError("neither tokens nor times of its trials are known")
    return found


def _panel(
    subject: Subject, values: pandas.Series, spent: pandas.Series, text: str
) -> Panel | None:
    """The best of what had ended, when so much had been spent."""
    order = subject.tables.trials["ended"].astype("float64").sort_values(kind="stable").index
    so_far = spent.reindex(order).fillna(0.0).cumsum()
    if so_far.empty or so_far.iloc[-1] <= 0:
        return None
    better = subject.improvements(values.reindex(order).dropna())
    at = numpy.append(so_far[better.index].to_numpy(), so_far.iloc[-1])
    figure = go.Figure()
    if subject.baseline is not None:
        own = subject.value(subject.baseline)
        figure.add_scatter(
            x=[0, at[-1]], y=[own, own], mode="lines", name="baseline", hoverinfo="skip",
            line={"color": BASELINE, "width": 2, "dash": "dash"},
        )  # fmt: skip
    figure.add_scatter(
        x=at, y=numpy.append(better, better.iloc[-1]), mode="lines", name="best so far",
        line={"color": BEST, "width": 3, "shape": "hv"}, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=at[:-1], y=better.to_numpy(), mode="markers", showlegend=False, name="a better one",
        marker={"color": BEST, "size": 8}, customdata=[int(one) for one in better.index],
    )  # fmt: skip
    kept = [*better, *([subject.value(subject.baseline)] if subject.baseline is not None else [])]
    of_value = window(kept, subject.minimised, kept)
    figure.update_layout(
        height=HEIGHT,
        xaxis={"title": {"text": text}, "rangemode": "tozero"},
        yaxis=value_axis(of_value, objective(subject.objective)),
    )
    return Panel(figure)


def _tokens(subject: Subject) -> pandas.Series:
    """That each trial trained on."""
    tables = subject.tables
    reported = tables.reports.groupby("number")["tokens_seen"].max().reindex(tables.trials.index)
    if "tokens_seen" in tables.trials:
        measured = pandas.to_numeric(tables.trials["tokens_seen"], errors="coerce")
        reported = measured.fillna(reported)
    return reported.astype("float64")


def _seconds(subject: Subject) -> tuple[pandas.Series, str]:
    seconds = subject.tables.slot_seconds
    per, called = labels.unit_of_time(float(seconds.sum()))
    return seconds / per, f"{called} in slots of all trials"
