"""The confirmation: the values of each candidate, retrained with other seeds."""

import math
from dataclasses import dataclass

from plotly import graph_objects as go

from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.theme import BASELINE, BEST, COLOURS, FAINT, escaped, objective
from ugro.analysis.figures.study_view import Kind, NoDataError
from ugro.formatting import number

ROW, FRAME = 44, 110  # pixels: per candidate, and around them


@dataclass(frozen=True)
class CandidateRow:
    """One candidate.

    Attributes:
        values: seed and value, where the training gave one
        mean: of these values; None without any
        found: the value in the search; None where it is unknown
    """

    number: int
    role: str
    values: tuple[tuple[int, float], ...]
    mean: float | None
    found: float | None


@dataclass(frozen=True)
class SeedValues:
    """What the figure shows; the best comes first."""

    finding: str
    objective: str
    rows: tuple[CandidateRow, ...]


def prepare(confirmation: Confirmation) -> SeedValues:
    """Collect the data.

    Raises:
        NoDataError: no candidate has a value yet.
    """
    rows = tuple(
        CandidateRow(
            one.number,
            one.role,
            tuple(
                (seed, value)
                for value, seed in zip(one.values, confirmation.seeds, strict=True)
                if math.isfinite(value)
            ),
            one.mean if math.isfinite(one.mean) else None,
            one.found if math.isfinite(one.found) else None,
        )
        for one in confirmation.candidates
    )
    if all(row.mean is None for row in rows):
        raise NoDataError("no training of the confirmation has a value yet")
    return SeedValues("", confirmation.objective, rows)  # the verdicts are above the figure


def draw(data: SeedValues) -> Panel:
    """Draw the dot plot, the best on top."""
    figure = go.Figure()
    rows = list(reversed(data.rows))
    for at, row in enumerate(rows):
        colour = {"best": BEST, "baseline": BASELINE}.get(row.role, COLOURS[Kind.COMPLETE])
        if row.mean is not None:
            figure.add_shape(
                type="line", x0=row.mean, x1=row.mean, y0=at - 0.3, y1=at + 0.3,
                line={"color": colour, "width": 4},
            )  # fmt: skip
        if row.found is not None:
            figure.add_scatter(
                x=[row.found], y=[at], mode="markers", name="in the search", hoverinfo="skip",
                marker={"symbol": "x-thin", "size": 10, "line": {"color": FAINT, "width": 2}},
                legendgroup="found", showlegend=at == len(rows) - 1,
            )  # fmt: skip
        figure.add_scatter(
            x=[value for _, value in row.values], y=[at] * len(row.values), mode="markers",
            marker={"size": 11, "color": colour, "opacity": 0.75}, showlegend=False,
            text=[f"<b>trial {row.number}</b>, seed {seed}<br>{number(value)}"
                  for seed, value in row.values],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        height=FRAME + ROW * len(rows),
        xaxis={"title": {"text": objective(data.objective)}},
        yaxis={
            "tickvals": list(range(len(rows))), "range": [-0.6, len(rows) - 0.4],
            "ticktext": [f"{escaped(row.role)}, trial {row.number}" for row in rows],
        },
    )  # fmt: skip
    return Panel(figure, "Dot: a seed; bar: their mean.")
