"""Colours, fonts, axes and marks that all figures share, on a light page and on a dark one.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color), which colour-blind people can tell
apart, and viridis. A figure names the colours of a light page; ``DARK`` maps them to a dark one.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from plotly import graph_objects as go

from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.key_axis import KeyAxis
from ugro.analysis.figures.drawing.window import Window
from ugro.analysis.figures.study_view import Kind
from ugro.formatting import counted

COLOURS = {
    Kind.COMPLETE: "#0072B2",  # blue
    Kind.STOPPED: "#8C8C8C",  # grey: most trials of a study are stopped
    Kind.INFEASIBLE: "#CC79A7",  # reddish purple
    Kind.FAILED: "#D55E00",  # vermilion
    Kind.RUNNING: "#56B4E9",  # sky blue
}
BEST, BASELINE = "#E69F00", "#000000"  # orange, black
RETRIED = "#F0E442"  # yellow: a stay after which its trial went on elsewhere
INK, FAINT, GRID, PAPER = "#222222", "#5F5F5F", "#E6E6E6", "#ffffff"
# Viridis without its palest end, which is invisible on paper.
SHADES = ["#440154", "#482173", "#433e85", "#38588c", "#2e6f8e", "#25848e", "#1f9a8a", "#29af7f",
          "#4ec36b", "#81d34d", "#bddf26"]  # fmt: skip
# What a colour of a light page becomes on a dark one; there better is brighter.
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
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
HEIGHT = 440  # pixels


def template() -> go.layout.Template:
    """The layout that all figures share."""
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
    """The colours of an objective from its lowest value to its highest; the best is darkest."""
    return SHADES if minimised else SHADES[::-1]


def colour_axis(window: Window, minimised: bool, text: str) -> dict[str, Any]:
    """The colour axis of an objective; logarithmic where the window is."""
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
    """The axis of an objective."""
    kind = {"type": "log", "exponentformat": "power"} if window.log else {}
    ends = scaled(window, [window.low, window.high])
    return {"title": {"text": text}, "range": ends, "hoverformat": ".4~g", **kind}


def searched_axis(axis: KeyAxis, titled: bool = True) -> dict[str, Any]:
    """The axis of a searched key."""
    low, high = axis.limits
    title = {"title": {"text": escaped(axis.key)}} if titled else {}
    places, texts = axis.ticks()
    marks = {"tickvals": places, "ticktext": [escaped_lines(one) for one in texts]}
    if axis.choices:
        return {**title, **marks, "range": [low, high], "zeroline": False}
    if axis.log:
        return {**title, **marks, "type": "log", "range": scaled(axis, [low, high])}
    return {**title, "range": [low, high], "nticks": 6}


def scaled(on: Window | KeyAxis, places: Sequence[float]) -> list[float]:
    """Convert positions to plotly's ranges, which are logarithms on logarithmic axes."""
    return [math.log10(one) if on.log else float(one) for one in places]


def escaped(text: object) -> str:
    """Escape a name from outside: plotly would read markup or a formula."""
    return escape(labels.printable(str(text))).replace("$", "&#36;")


def escaped_lines(text: str) -> str:
    """Escape a tick label, which may have several lines."""
    return "<br>".join(escaped(line) for line in text.split("\n"))


def objective(name: str) -> str:
    """The title of an objective's axis."""
    return escaped(labels.label(name))


def beyond(window: Window) -> str:
    """State how many values the window leaves out."""
    if not window.beyond:
        return ""
    lie = "lies" if window.beyond == 1 else "lie"
    return f"{counted(window.beyond, 'worse value')} {lie} beyond the axis."


def joined(*notes: str) -> str:
    """Join sentences; empty ones are left out."""
    return " ".join(filter(None, notes))


def star() -> dict[str, Any]:
    """The mark of the best trial."""
    return {"symbol": "star", "size": 17, "color": BEST, "line": {"color": INK, "width": 1.2}}


def diamond() -> dict[str, Any]:
    """The mark of the baseline."""
    return {"symbol": "diamond", "size": 11, "color": BASELINE,
            "line": {"color": PAPER, "width": 1.2}}  # fmt: skip


def coloured(many: int) -> dict[str, Any]:
    """The mark of a trial coloured by its value."""
    edge = {"color": "rgba(255,255,255,0.7)", "width": 0.8 if many <= 600 else 0.3}
    return {"symbol": "circle", "size": 10 if many <= 150 else 8 if many <= 600 else 6,
            "line": edge}  # fmt: skip


def mark(kind: Kind, many: int) -> dict[str, Any]:
    """The mark of a trial; smaller and fainter where there are many."""
    size = 8 if many <= 150 else 6.5 if many <= 600 else 5
    faint = kind is Kind.STOPPED and many > 150
    return {"symbol": SYMBOLS[kind], "size": size, "color": COLOURS[kind],
            "opacity": 0.5 if faint else 0.9}  # fmt: skip
