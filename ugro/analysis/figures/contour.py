"""The contour: a surface of the objective over the two most important numeric keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy
import pandas
from plotly import graph_objects as go

from ugro.analysis.comparable import comparable
from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.key_axis import KeyAxis, key_axis
from ugro.analysis.figures.drawing.markers import legend_entry, style, trace
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.points import Points, highlights
from ugro.analysis.figures.drawing.theme import (
    colour_scale,
    coloured,
    escaped,
    joined,
    objective,
    searched_axis,
)
from ugro.analysis.figures.drawing.ticks import Numbers
from ugro.analysis.figures.drawing.window import window
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView, plottable
from ugro.analysis.figures.surface import MOST, Surface, surface
from ugro.formatting import counted, share

FEWEST, DISTINCT = 12, 3  # trials, and values of a key
EXPLAINED = 0.15  # share of the variance, leave-one-out: below it there is no surface
BANDS = 10
HEIGHT = 520  # pixels


@dataclass(frozen=True)
class Contour:
    """What the figure shows.

    Attributes:
        places: [trials, 2], positions on both axes, by trial number
        values: of these trials
        heights: [cells, cells], values of the surface; NaN far from any trial
        at: the tokens at which trials are compared, such as ``100,000 tokens``; empty for final
            values
        highlights: the baseline and the best among these trials
        basis: which values of which trials were compared
    """

    finding: str
    objective: str
    minimised: bool
    across: KeyAxis
    up: KeyAxis
    places: pandas.DataFrame
    values: pandas.Series
    surface: Surface
    heights: Numbers
    highlights: tuple[Points, ...]
    at: str
    basis: str


def prepare(view: StudyView) -> Contour:
    """Fit the surface, to values at equal tokens where many trials were stopped early.

    Raises:
        NoDataError: too few trials or numeric keys, or the two keys do not explain the objective.
    """
    numeric = [axis for axis in (key_axis(view, key) for key in view.keys) if axis.ordered]
    if len(numeric) < 2:
        raise NoDataError("fewer than two of the searched keys are numbers")
    across, up = numeric[:2]
    compared = comparable(view.tables)
    values = plottable(compared.values if view.minimised else -compared.values).dropna()
    own = view.tables.trials.loc[values.index]
    places = pandas.DataFrame(
        {axis.key: axis.at(own[axis.key]) for axis in (across, up)}, index=values.index
    ).dropna()
    values = values[places.index]
    scale = window(values, view.minimised)
    found = _fitted(across, up, places, scale.unit(values))
    at = compared.of.partition(" at ")[2]
    return Contour(
        finding=_finding(view, across, up, found, at),
        objective=view.objective,
        minimised=view.minimised,
        across=across,
        up=up,
        places=places,
        values=values,
        surface=found,
        heights=scale.place(found.values),
        highlights=tuple(_highlights(view, places)),
        at=at,
        basis=compared.of,
    )


def _fitted(across: KeyAxis, up: KeyAxis, places: pandas.DataFrame, heights: Numbers) -> Surface:
    """Fit the surface on the unit square.

    Raises:
        NoDataError: the data do not support one.
    """
    if len(heights) < FEWEST:
        raise NoDataError(f"{counted(len(heights), 'trial')} can be compared, not {FEWEST}")
    for axis in (across, up):
        if places[axis.key].nunique() < DISTINCT:
            raise NoDataError(f"{axis.key} has had fewer than {DISTINCT} values")
    if numpy.ptp(heights) < 1e-6:
        raise NoDataError("all trials have the same value")
    at = [axis.unit(places[axis.key].to_numpy()) for axis in (across, up)]
    found = surface(numpy.column_stack(at), heights)
    if found.explained < EXPLAINED or numpy.isnan(found.values).all():
        explained = share(max(found.explained, 0.0))
        raise NoDataError(
            f"{across.key} and {up.key} alone explain {explained} of the variance of trials"
        )
    return found


def _finding(view: StudyView, across: KeyAxis, up: KeyAxis, found: Surface, at: str) -> str:
    """State where the surface is best."""
    best = numpy.nanargmin if view.minimised else numpy.nanargmax
    row, column = numpy.unravel_index(best(found.values), found.values.shape)
    near = [
        f"{labels.printable(axis.key)} = {axis.text(float(found.cells[cell]))}"
        for axis, cell in ((across, column), (up, row))
    ]
    side = "lowest" if view.minimised else "highest"
    text = f"{labels.name(view.objective)} is {side} near {', '.join(near)}"
    text = f"at {at} {text}" if at else text
    return text[:1].upper() + text[1:]


def _highlights(view: StudyView, places: pandas.DataFrame) -> Iterator[Points]:
    for mark, label, number in highlights(view):
        if number in places.index:
            x, y = places.loc[number]
            yield Points(mark, label, (number,), (float(x),), (float(y),))


def draw(data: Contour) -> Panel:
    """Draw the surface, and the trials it was fitted to."""
    levels = _levels(data.heights)
    title = f"{escaped(labels.name(data.objective))} at {data.at}" if data.at else ""
    colours = _colours(levels, data.minimised, title or objective(data.objective))
    name, looks = "trial, in its own colour", coloured(len(data.places))
    figure = go.Figure(
        go.Contour(
            x=data.across.place(data.surface.cells),
            y=data.up.place(data.surface.cells),
            z=_banded(data.heights, levels), coloraxis="coloraxis", hoverinfo="skip",
            contours={"start": 0, "end": len(levels) - 1, "size": 1}, line={"width": 0.5},
        )
    )  # fmt: skip
    places = data.places.to_numpy()
    trials = Points(
        Kind.COMPLETE,
        name,
        tuple(int(one) for one in data.places.index),
        tuple(places[:, 0].tolist()),
        tuple(places[:, 1].tolist()),
    )
    banded = _banded(data.values.to_numpy(), levels)
    figure.add_trace(trace(trials, {**looks, "coloraxis": "coloraxis2", "color": banded}, False))
    figure.add_trace(legend_entry(name, looks))
    figure.add_traces([trace(one, style(one.mark, 1)) for one in data.highlights])
    figure.update_layout(
        height=HEIGHT,
        xaxis=searched_axis(data.across),
        yaxis=searched_axis(data.up),
        coloraxis=colours,
        # plotly does not let marks share the colour axis of a surface
        coloraxis2={**colours, "showscale": False},
    )
    return Panel(figure, joined(*_notes(data)))


def _levels(heights: Numbers) -> Numbers:
    """Contour levels at quantiles, so that flat regions are resolved too."""
    known = heights[~numpy.isnan(heights)]
    return numpy.unique(numpy.quantile(known, numpy.linspace(0, 1, BANDS + 1)))


def _banded(values: Numbers, levels: Numbers) -> Numbers:
    """Map values to a scale on which the levels are 0, 1, 2 ..."""
    return numpy.interp(values, levels, numpy.arange(len(levels), dtype="float64"))


def _colours(levels: Numbers, minimised: bool, text: str) -> dict[str, Any]:
    return {
        "colorscale": colour_scale(minimised),
        "cmin": 0,
        "cmax": len(levels) - 1,
        "colorbar": {
            "title": {"text": text},
            "tickvals": list(range(len(levels))),
            "ticktext": [f"{level:.4g}" for level in levels],
        },
    }


def _notes(data: Contour) -> Iterator[str]:
    yield f"Surface: a Gaussian process fitted to {labels.printable(data.basis)}, over two keys;"
    yield f"leave-one-out it explains {share(data.surface.explained)} of their variance."
    if len(data.values) > MOST:
        yield f"Fitted to a sample of {MOST}."
    if numpy.isnan(data.heights).any():
        yield "Regions far from any trial are left blank."
