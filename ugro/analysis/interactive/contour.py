"""Where is the objective good over the two numbers that mattered most? A surface through trials."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy
import pandas
from plotly import graph_objects as go

from ugro.analysis.comparable import comparable
from ugro.analysis.interactive.look import (
    Panel,
    colour_scale,
    coloured,
    key_axis,
    objective,
    shown,
    together,
)
from ugro.analysis.interactive.marks import explained, singled_out
from ugro.analysis.pictures import labels
from ugro.analysis.pictures.contour import fitted
from ugro.analysis.pictures.key_axis import KeyAxis
from ugro.analysis.pictures.key_axis import key_axis as axis_of
from ugro.analysis.pictures.subject import NothingToDrawError, Subject, drawable
from ugro.analysis.pictures.surface import MOST, Surface
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.window import window
from ugro.formatting import share

BANDS = 10
HEIGHT = 520  # pixels


@dataclass(frozen=True)
class _Fitted:
    """Trials on two axes, and the surface through them."""

    across: KeyAxis
    up: KeyAxis
    places: pandas.DataFrame
    values: pandas.Series
    heights: Numbers
    surface: Surface
    of: str


def draw(subject: Subject) -> Panel:
    """The contour, through the values of trials at equal tokens where many were stopped early.

    Raises:
        NothingToDrawError: too few trials or numeric keys, or the two do not tell the objective.
    """
    fitted = _fitted(subject)
    levels = _levels(fitted.heights)
    figure = go.Figure(
        [
            go.Contour(
                x=fitted.across.place(fitted.surface.cells),
                y=fitted.up.place(fitted.surface.cells),
                z=_banded(fitted.heights, levels), coloraxis="coloraxis", hoverinfo="skip",
                contours={"start": 0, "end": len(levels) - 1, "size": 1}, line={"width": 0.5},
            ),
            *_trials(fitted, levels),
            *_best_and_baseline(subject, fitted),
        ]
    )  # fmt: skip
    at = fitted.of.partition(" at ")[2]
    named = shown(labels.name(subject.objective))
    text = f"{named} at {at}" if at else objective(subject.objective)
    figure.update_layout(
        height=HEIGHT,
        xaxis=key_axis(fitted.across),
        yaxis=key_axis(fitted.up),
        coloraxis=_colours(levels, subject.minimised, text),
        # plotly lets no trials share the axis of a surface
        coloraxis2={**_colours(levels, subject.minimised, text), "showscale": False},
    )
    return Panel(figure, together(*_notes(fitted)))


def _fitted(subject: Subject) -> _Fitted:
    numeric = [axis for axis in (axis_of(subject, key) for key in subject.keys) if axis.ordered]
    if len(numeric) < 2:
        raise NothingToDrawError("fewer than two of the searched keys are numbers")
    across, up = numeric[:2]
    told = comparable(subject.tables)
    values = drawable(told.values if subject.minimised else -told.values).dropna()
    own = subject.tables.trials.loc[values.index]
    places = pandas.DataFrame(
        {axis.key: axis.at(own[axis.key]) for axis in (across, up)}, index=values.index
    ).dropna()
    values = values[places.index]
    of_value = window(values, subject.minimised)
    found = fitted(across, up, places, values, of_value)
    return _Fitted(across, up, places, values, of_value.place(found.values), found, told.of)


def _levels(heights: Numbers) -> Numbers:
    """Between any two lies the same share of the surface: flat parts are seen, too."""
    seen = heights[~numpy.isnan(heights)]
    return numpy.unique(numpy.quantile(seen, numpy.linspace(0, 1, BANDS + 1)))


def _banded(values: Numbers, levels: Numbers) -> Numbers:
    """On a scale on which the levels are even: 0, 1, 2 ..."""
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


def _trials(fitted: _Fitted, levels: Numbers) -> Iterator[go.Scatter]:
    places, name, looks = fitted.places, "trial, in its own colour", coloured(len(fitted.places))
    yield go.Scatter(
        x=places[fitted.across.key].to_numpy(), y=places[fitted.up.key].to_numpy(), mode="markers",
        name=name, customdata=[int(one) for one in places.index], showlegend=False,
        legendgroup=name, marker={**looks, "coloraxis": "coloraxis2",
                                  "color": _banded(fitted.values.to_numpy(), levels)},
    )  # fmt: skip
    yield explained(name, looks)


def _best_and_baseline(subject: Subject, fitted: _Fitted) -> Iterator[go.Scatter]:
    for number, word, looks in singled_out(subject):
        if number in fitted.places.index:
            across, up = fitted.places.loc[number]
            yield go.Scatter(
                x=[across], y=[up], mode="markers", name=word, marker=looks, customdata=[number]
            )


def _notes(fitted: _Fitted) -> Iterator[str]:
    yield f"Surface: a Gaussian process through the {fitted.of}, whatever their other keys;"
    yield f"the others explain {share(fitted.surface.explained)} of what each trial differs by."
    if len(fitted.values) > MOST:
        yield f"Fitted to {MOST} of them."
    if numpy.isnan(fitted.heights).any():
        yield "Where nothing is drawn no trial is near."
