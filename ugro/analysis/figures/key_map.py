"""The map of two keys, learning rate and rank where both are searched, coloured by objective."""

from collections.abc import Mapping
from dataclasses import dataclass

from plotly import graph_objects as go

from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.key_axis import KeyAxis, key_axis, spread_out
from ugro.analysis.figures.drawing.markers import traces
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.points import Points, points_of
from ugro.analysis.figures.drawing.theme import (
    beyond,
    colour_axis,
    joined,
    objective,
    scaled,
    searched_axis,
)
from ugro.analysis.figures.drawing.window import Window, window_of
from ugro.analysis.figures.study_view import RATE, NoDataError, StudyView

RANK = "lora.r"
HEIGHT = 480  # pixels


@dataclass(frozen=True)
class KeyMap:
    """What the figure shows.

    Attributes:
        values: of complete trials by number
    """

    finding: str
    objective: str
    minimised: bool
    window: Window
    across: KeyAxis
    up: KeyAxis
    points: tuple[Points, ...]
    values: Mapping[int, float]


def prepare(view: StudyView) -> KeyMap:
    """Collect the data, of the two most important keys where rate or rank is not searched.

    Raises:
        NoDataError: fewer than two keys were searched, or no trial is complete.
    """
    keys = mapped_keys(view)
    if len(keys) < 2:
        raise NoDataError("fewer than two keys were searched")
    if view.best is None:
        raise NoDataError("no trial is complete yet")
    across, up = (key_axis(view, key) for key in keys)
    found = f"{labels.best_at(view, *keys)}: {labels.value(view, view.best)}"
    values = view.trials["value"].dropna()
    return KeyMap(
        finding=found,
        objective=view.objective,
        minimised=view.minimised,
        window=window_of(view, reached=False),
        across=across,
        up=up,
        points=points_of(view, spread_out(view, across), spread_out(view, up)),
        values={int(number): float(value) for number, value in values.items()},
    )


def mapped_keys(view: StudyView) -> tuple[str, ...]:
    """The keys of the map, across and up; fewer than two where fewer were searched."""
    return (RATE, RANK) if {RATE, RANK} <= set(view.keys) else view.keys[:2]


def draw(data: KeyMap) -> Panel:
    """Draw the map."""
    numbers = {number for group in data.points for number in group.numbers}
    values = [data.values.get(one, data.window.low) for one in numbers]
    places = scaled(data.window, list(data.window.clipped(values)))
    colours = dict(zip(numbers, places, strict=True))
    figure = go.Figure(list(traces(data.points, colours)))
    figure.update_layout(
        height=HEIGHT,
        xaxis=searched_axis(data.across),
        yaxis=searched_axis(data.up),
        coloraxis=colour_axis(data.window, data.minimised, objective(data.objective)),
    )
    moved = data.across if data.across.choices else data.up
    note = f"Trials of the same {moved.key} are moved apart." if moved.choices else ""
    return Panel(figure, joined(note, beyond(data.window).replace("axis", "colour scale")))
