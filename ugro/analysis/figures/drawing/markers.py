"""Traces of trials as marks; the page describes a trial under the pointer by its number."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from plotly import graph_objects as go

from ugro.analysis.figures.drawing.points import Highlight, Points
from ugro.analysis.figures.drawing.theme import SHADES, coloured, diamond, mark, star
from ugro.analysis.figures.study_view import Kind


def traces(
    points: Sequence[Points], colours: Mapping[int, float] | None = None
) -> Iterator[go.Scatter]:
    """Draw points, one trace per group.

    Args:
        points: bottom first
        colours: of complete trials by number, on the figure's colour axis
    """
    many = sum(len(group.numbers) for group in points)
    for group in points:
        if group.mark is Kind.COMPLETE and colours is not None:
            looks = coloured(many)
            shaded = {
                **looks, "color": [colours[one] for one in group.numbers], "coloraxis": "coloraxis"
            }  # fmt: skip
            yield trace(group, shaded, legend=False)
            yield legend_entry(group.label, looks)
        else:
            yield trace(group, style(group.mark, many))


def style(marked: Kind | Highlight, many: int) -> dict[str, Any]:
    """The marker of a group of points."""
    if isinstance(marked, Kind):
        return mark(marked, many)
    return star() if marked is Highlight.BEST else diamond()


def trace(group: Points, looks: dict[str, Any], legend: bool = True) -> go.Scatter:
    """Draw one group of points."""
    return go.Scatter(
        x=group.x,
        y=group.y,
        mode="markers",
        name=group.label,
        marker=looks,
        customdata=group.numbers,
        showlegend=legend,
        legendgroup=group.label,
        cliponaxis=False if group.mark is Highlight.BEST else None,
    )


def legend_entry(name: str, looks: dict[str, Any]) -> go.Scatter:
    """The legend entry of marks that each have their own colour."""
    middle = SHADES[len(SHADES) // 2]
    return go.Scatter(x=[None], y=[None], mode="markers", name=name, legendgroup=name,
                      marker={**looks, "color": middle})  # fmt: skip
