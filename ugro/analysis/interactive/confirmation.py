"""Is the winner the winner? What each candidate came to, trained again with other seeds."""

import math

from plotly import graph_objects as go

from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.interactive.look import Panel, objective, shown
from ugro.analysis.pictures.style import BASELINE, BEST, COLOURS, FAINT
from ugro.analysis.pictures.subject import Kind, NothingToDrawError
from ugro.formatting import number

ROW, FRAME = 44, 110  # pixels


def draw(confirmation: Confirmation) -> Panel:
    """The dot plot.

    Raises:
        NothingToDrawError: no candidate has a value yet.
    """
    candidates = list(reversed(confirmation.candidates))
    if all(math.isnan(one.mean) for one in candidates):
        raise NothingToDrawError("no training of the confirmation has a value yet")
    figure = go.Figure()
    for at, one in enumerate(candidates):
        colour = {"best": BEST, "baseline": BASELINE}.get(one.role, COLOURS[Kind.COMPLETE])
        known = [
            (value, seed)
            for value, seed in zip(one.values, confirmation.seeds, strict=True)
            if math.isfinite(value)
        ]
        if math.isfinite(one.mean):
            figure.add_shape(
                type="line", x0=one.mean, x1=one.mean, y0=at - 0.3, y1=at + 0.3,
                line={"color": colour, "width": 4},
            )  # fmt: skip
        if math.isfinite(one.found):
            figure.add_scatter(
                x=[one.found], y=[at], mode="markers", name="in the search", hoverinfo="skip",
                marker={"symbol": "x-thin", "size": 10, "line": {"color": FAINT, "width": 2}},
                legendgroup="found", showlegend=at == len(candidates) - 1,
            )  # fmt: skip
        figure.add_scatter(
            x=[value for value, _ in known], y=[at] * len(known), mode="markers",
            marker={"size": 11, "color": colour, "opacity": 0.75}, showlegend=False,
            text=[f"<b>trial {one.number}</b>, seed {seed}<br>{number(value)}"
                  for value, seed in known],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        height=FRAME + ROW * len(candidates),
        xaxis={"title": {"text": objective(confirmation.objective)}},
        yaxis={
            "tickvals": list(range(len(candidates))), "range": [-0.6, len(candidates) - 0.4],
            "ticktext": [f"{shown(one.role)}, trial {one.number}" for one in candidates],
        },
    )  # fmt: skip
    return Panel(figure, "Dot: a seed; bar: their mean.")
