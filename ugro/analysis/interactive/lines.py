"""How are many trials drawn as lines? Some to a trace, the better in the colours of the better.

A trace a trial would make a browser crawl. The page draws the line again, strongly, at which one
points: it finds its places in these traces by the trial's number.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy
from plotly import graph_objects as go

from ugro.analysis.interactive.look import colour_scale
from ugro.analysis.pictures.style import BASELINE, BEST, COLOURS, INK
from ugro.analysis.pictures.subject import Kind, Subject
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.window import Window

HIGHLIGHT = "highlight"
DIGITS = 5

# The places of each trial's line, a row a place.
Places = Mapping[int, Numbers]


def lines(subject: Subject, places: Places, window: Window, hover: str) -> Iterator[go.Scatter]:
    """The lines; complete trials in the colour of their value, the best and the baseline on top.

    Args:
        places: of the trials that are drawn
        window: of the objective, for the colours
        hover: what is said of a place after its trial, as plotly's template
    """
    chosen = (subject.best, subject.baseline)
    for kind in (Kind.STOPPED, Kind.FAILED, Kind.INFEASIBLE, Kind.RUNNING):
        own = [one for one in places if subject.trials.at[one, "kind"] is kind]
        if own:
            clear = float(numpy.clip(30 / len(own), 0.3, 0.7))
            looks = {"color": COLOURS[kind], "width": 1.2}
            yield _trace(places, own, kind.value, looks, hover, opacity=clear)
    complete = [
        one
        for one in places
        if one not in chosen and subject.trials.at[one, "kind"] is Kind.COMPLETE
    ]
    yield from _complete(subject, places, complete, window, hover)
    for number, word, looks in (
        (subject.baseline, "baseline", {"color": BASELINE, "width": 3, "dash": "dash"}),
        (subject.best, "best", {"color": BEST, "width": 3.5}),
    ):
        if (
            number is not None
            and number in places
            and not (word == "baseline" and number == subject.best)
        ):
            yield _trace(places, [number], word, looks, hover)
    yield go.Scatter(
        x=[], y=[], mode="lines", meta=HIGHLIGHT, hoverinfo="skip", showlegend=False,
        line={"color": INK, "width": 3},
    )  # fmt: skip


def _complete(
    subject: Subject, places: Places, numbers: list[int], window: Window, hover: str
) -> Iterator[go.Scatter]:
    """A trace a colour; one entry in the legend."""
    if not numbers:
        return
    scale = colour_scale(subject.minimised)
    at = window.unit(subject.trials.loc[numbers, "value"])
    which = numpy.minimum((at * len(scale)).astype(int), len(scale) - 1)
    order = range(len(scale))
    present = [one for one in (reversed(order) if subject.minimised else order) if one in which]
    for colour in present:
        own = [number for number, one in zip(numbers, which, strict=True) if one == colour]
        looks = {"color": scale[colour], "width": 1.8}
        yield _trace(
            places, own, Kind.COMPLETE.value, looks, hover, opacity=0.85,
            legendgroup=Kind.COMPLETE.value, showlegend=colour == present[len(present) // 2],
        )  # fmt: skip


def _trace(
    places: Places, numbers: list[int], name: str, looks: dict[str, Any], hover: str, **more: Any
) -> go.Scatter:
    """Lines one after the other, parted by gaps."""
    x: list[float | None] = []
    y: list[float | None] = []
    of: list[int | None] = []
    for number in numbers:
        for across, up in places[number]:
            x.append(float(f"{across:.{DIGITS}g}"))
            y.append(None if numpy.isnan(up) else float(f"{up:.{DIGITS}g}"))
            of.append(number)
        x.append(None)
        y.append(None)
        of.append(None)
    single = len(numbers) == 1 and len(places[numbers[0]]) == 1
    return go.Scatter(
        x=x[:-1], y=y[:-1], customdata=of[:-1], mode="lines+markers" if single else "lines",
        name=name, line=looks, hovertemplate=f"%{{hovertext}}{hover}<extra></extra>", **more,
    )  # fmt: skip
