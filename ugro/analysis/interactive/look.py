"""How do the report's figures look? As the pictures do, on a light page and on a dark one.

A figure names the colours of a light page; the page replaces them where it is dark (``DARK``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.colors import to_hex
from plotly import graph_objects as go

from ugro.analysis.pictures import labels
from ugro.analysis.pictures.key_axis import KeyAxis
from ugro.analysis.pictures.style import BASELINE, BEST, COLOURS, FAINT, GRID, INK
from ugro.analysis.pictures.subject import Kind
from ugro.analysis.pictures.window import Window
from ugro.formatting import counted

PAPER = "#ffffff"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
HEIGHT = 440  # pixels, of a figure
SHADES = [to_hex(matplotlib.colormaps["viridis"](at / 100)) for at in range(0, 91, 9)]
# What a colour of a light page becomes on a dark one; there the better is the brighter.
DARK = {
    INK: "#e8e8e8",
    FAINT: "#a5a9b0",
    GRID: "#33373e",
    PAPER: "#17191d",
    BASELINE: "#fffffe",
    COLOURS[Kind.COMPLETE]: "#3fa7e0",
    **dict(zip(SHADES, reversed(SHADES), strict=True)),
}
SYMBOLS = {
    Kind.COMPLETE: "circle",
    Kind.STOPPED: "circle-open",
    Kind.INFEASIBLE: "square-open",
    Kind.FAILED: "x",
    Kind.RUNNING: "triangle-up-open",
}


@dataclass(frozen=True)
class Panel:
    """A figure, and what has to be said beside it.

    Attributes:
        title: above it, where a section has several, and what is said below that
        note: below it; empty where there is nothing to say
        least_width: pixels that it needs; a narrower page scrolls it
    """

    figure: go.Figure
    note: str = ""
    title: str = ""
    subtitle: str = ""
    least_width: int = 0

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.figure.layout.height or HEIGHT)


def template() -> go.layout.Template:
    """What all figures have in common."""
    axis = {
        "automargin": True,
        "gridcolor": GRID,
        "linecolor": FAINT,
        "showline": True,
        "ticks": "outside",
        "tickcolor": FAINT,
        "zeroline": False,
        "title": {"standoff": 10},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 12, "r": 12, "t": 12, "b": 12},
            "height": HEIGHT,
            "hovermode": "closest",
            "hoverdistance": 30,
            "hoverlabel": {
                "align": "left", "bgcolor": PAPER, "bordercolor": FAINT,
                "font": {"family": FONT, "size": 12.5, "color": INK},
            },
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": FAINT, "activecolor": INK},
            "legend": {
                "orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom",
                "itemsizing": "constant", "font": {"size": 12.5},
            },
            "xaxis": axis,
            "yaxis": axis,
            "coloraxis": {
                "colorbar": {"thickness": 14, "outlinewidth": 0, "ticks": "outside",
                             "tickcolor": FAINT, "title": {"side": "right"}},
            },
        }
    )  # fmt: skip


def colour_scale(minimised: bool) -> list[str]:
    """Of an objective from its lowest value to its highest."""
    return SHADES if minimised else SHADES[::-1]


def colour_axis(window: Window, minimised: bool, text: str) -> dict[str, Any]:
    """The colours of an objective, with what they mean; of a log window by its logarithm."""
    marks = window.ticks()
    low, high = scaled(window, [window.low, window.high])
    return {
        "colorscale": colour_scale(minimised),
        "cmin": low,
        "cmax": high,
        "colorbar": {
            "title": {"text": text},
            "tickvals": scaled(window, marks),
            "ticktext": [f"{one:g}" for one in marks],
        },
    }


def value_axis(window: Window, text: str) -> dict[str, Any]:
    """An axis of an objective."""
    kind = {"type": "log", "exponentformat": "power"} if window.log else {}
    ends = scaled(window, [window.low, window.high])
    return {"title": {"text": text}, "range": ends, "hoverformat": ".4~g", **kind}


def key_axis(axis: KeyAxis, titled: bool = True) -> dict[str, Any]:
    """An axis of a searched key."""
    low, high = axis.limits
    title = {"title": {"text": shown(axis.key)}} if titled else {}
    places, texts = axis.ticks()
    marks = {"tickvals": places, "ticktext": [shown_choice(one) for one in texts]}
    if axis.choices:
        return {**title, **marks, "range": [low, high], "zeroline": False}
    if axis.log:
        return {**title, **marks, "type": "log", "range": scaled(axis, [low, high])}
    return {**title, "range": [low, high], "nticks": 6}


def scaled(on: Window | KeyAxis, places: Sequence[float]) -> list[float]:
    """As plotly has the ends of axes: their logarithms, where they are shown by these."""
    return [math.log10(one) if on.log else float(one) for one in places]


def shown(text: object) -> str:
    """A name from outside, which plotly does not take for markup or a formula."""
    return escape(labels.plain(str(text)).replace(r"\$", "$")).replace("$", "&#36;")


def shown_choice(text: str) -> str:
    """A choice as an axis has it, in its lines."""
    return "<br>".join(shown(line) for line in text.split("\n"))


def objective(name: str) -> str:
    """What an axis of an objective is called."""
    return shown(labels.label(name))


def beyond(window: Window) -> str:
    """How to see what the window leaves out."""
    if not window.beyond:
        return ""
    lie = "lies" if window.beyond == 1 else "lie"
    return (
        f"{counted(window.beyond, 'worse value')} {lie} beyond the axis: double-click to zoom out."
    )


def together(*notes: str) -> str:
    """Sentences as one note; empty ones are left out."""
    return " ".join(filter(None, notes))


def star() -> dict[str, Any]:
    """The mark of the best trial."""
    return {"symbol": "star", "size": 17, "color": BEST, "line": {"color": INK, "width": 1.2}}


def diamond() -> dict[str, Any]:
    """The mark of the baseline."""
    return {"symbol": "diamond", "size": 11, "color": BASELINE,
            "line": {"color": PAPER, "width": 1.2}}  # fmt: skip


def coloured(many: int) -> dict[str, Any]:
    """The mark of a trial that has the colour of its value."""
    edge = {"color": "rgba(255,255,255,0.7)", "width": 0.8 if many <= 600 else 0.3}
    return {"symbol": "circle", "size": 10 if many <= 150 else 8 if many <= 600 else 6,
            "line": edge}  # fmt: skip


def mark(kind: Kind, many: int) -> dict[str, Any]:
    """The mark of a trial, smaller and fainter where there are many."""
    size = 8 if many <= 150 else 6.5 if many <= 600 else 5
    faint = kind is Kind.STOPPED and many > 150
    return {"symbol": SYMBOLS[kind], "size": size, "color": COLOURS[kind],
            "opacity": 0.5 if faint else 0.9}  # fmt: skip
