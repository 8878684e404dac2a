"""Trials as lines, several per trace: one trace per trial would stall a browser.

The page draws the line under the pointer again, in bold, from the trial's number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from plotly import graph_objects as go

from ugro.analysis.figures.drawing.points import Highlight
from ugro.analysis.figures.drawing.theme import BASELINE, BEST, COLOURS, INK, SHADES, colour_scale
from ugro.analysis.figures.drawing.ticks import Numbers
from ugro.analysis.figures.drawing.window import Window
from ugro.analysis.figures.study_view import Kind, StudyView

HIGHLIGHT = "highlight"
DIGITS = 5


@dataclass(frozen=True)
class Lines:
    """Trials drawn alike.

    Attributes:
        label: the entry in the legend
        of: the line of each trial, [points, 2]
        shade: index of the colour of complete trials, 0 for the lowest value; None for others
    """

    mark: Kind | Highlight
    label: str
    of: Mapping[int, Numbers]
    shade: int | None = None


def lines_of(view: StudyView, lines: Mapping[int, Numbers], window: Window) -> tuple[Lines, ...]:
    """Group the lines of trials: by kind, complete trials by value, baseline and best on top.

    Args:
        view: the study
        lines: by trial number, [points, 2]
        window: of the objective, for the colours
    """
    chosen = [one for one in (view.best, view.baseline) if one is not None]
    kinds = view.trials["kind"]
    groups = []
    for kind in (Kind.STOPPED, Kind.FAILED, Kind.INFEASIBLE, Kind.RUNNING):
        own = {number: line for number, line in lines.items() if kinds[number] is kind}
        groups.append(Lines(kind, kind.value, own))
    complete = [one for one in lines if one not in chosen and kinds[one] is Kind.COMPLETE]
    groups += _by_value(view, lines, complete, window)
    if view.baseline is not None and view.baseline != view.best:
        own = {number: lines[number] for number in lines if number == view.baseline}
        groups.append(Lines(Highlight.BASELINE, "baseline", own))
    own = {number: lines[number] for number in lines if number == view.best}
    groups.append(Lines(Highlight.BEST, "best", own))
    return tuple(group for group in groups if group.of)


def _by_value(
    view: StudyView, lines: Mapping[int, Numbers], numbers: Sequence[int], window: Window
) -> Iterator[Lines]:
    """Group complete trials by colour, the better on top."""
    if not numbers:
        return
    at = numpy.asarray(window.unit(view.trials.loc[list(numbers), "value"]))
    at = numpy.nan_to_num(at, nan=1.0 if view.minimised else 0.0)  # infinite values have no place
    shades = numpy.minimum((at * len(SHADES)).astype(int), len(SHADES) - 1)
    order = sorted({int(shade) for shade in shades}, reverse=view.minimised)
    for shade in order:
        own = [number for number, one in zip(numbers, shades, strict=True) if one == shade]
        of = {number: lines[number] for number in own}
        yield Lines(Kind.COMPLETE, Kind.COMPLETE.value, of, shade)


def traces(groups: Sequence[Lines], minimised: bool, hover: str) -> Iterator[go.Scatter]:
    """Draw the lines.

    Args:
        groups: bottom first
        minimised: whether the lowest value is the best
        hover: plotly's template of a point, after its trial
    """
    scale = colour_scale(minimised)
    shaded = [group for group in groups if group.shade is not None]
    for group in groups:
        if group.shade is not None:
            looks = {"color": scale[group.shade], "width": 1.8}
            yield _trace(
                group, looks, hover, opacity=0.85, legendgroup=group.label,
                showlegend=group is shaded[len(shaded) // 2],
            )  # fmt: skip
        elif isinstance(group.mark, Kind):
            clear = float(numpy.clip(30 / len(group.of), 0.3, 0.7))
            looks = {"color": COLOURS[group.mark], "width": 1.2}
            yield _trace(group, looks, hover, opacity=clear)
        elif group.mark is Highlight.BASELINE:
            yield _trace(group, {"color": BASELINE, "width": 3, "dash": "dash"}, hover)
        else:
            yield _trace(group, {"color": BEST, "width": 3.5}, hover)
    yield go.Scatter(
        x=[], y=[], mode="lines", meta=HIGHLIGHT, hoverinfo="skip", showlegend=False,
        line={"color": INK, "width": 3},
    )  # fmt: skip


def _trace(group: Lines, looks: dict[str, Any], hover: str, **more: Any) -> go.Scatter:
    """Draw lines as one trace, with gaps between them."""
    x: list[float | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    for number, line in group.of.items():
        for across, up in line:
            x.append(float(f"{across:.{DIGITS}g}"))
            y.append(None if numpy.isnan(up) else float(f"{up:.{DIGITS}g}"))
            numbers.append(number)
        x.append(None)
        y.append(None)
        numbers.append(None)
    single = len(group.of) == 1 and len(x) == 2
    return go.Scatter(
        x=x[:-1], y=y[:-1], customdata=numbers[:-1], mode="lines+markers" if single else "lines",
        name=group.label, line=looks, hovertemplate=f"%{{hovertext}}{hover}<extra></extra>", **more,
    )  # fmt: skip
