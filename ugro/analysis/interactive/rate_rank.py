"""Which learning rate goes with which rank? A map of the two, coloured by the objective."""

from plotly import graph_objects as go

from ugro.analysis.interactive.look import Panel, colour_axis, key_axis, objective, scaled
from ugro.analysis.interactive.marks import marks
from ugro.analysis.pictures.key_axis import key_axis as axis_of
from ugro.analysis.pictures.marks import strewn
from ugro.analysis.pictures.rate_rank import keys
from ugro.analysis.pictures.subject import NothingToDrawError, Subject
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.window import Window, window_of

HEIGHT = 480  # pixels


def draw(subject: Subject) -> Panel:
    """The map, of the two most important keys where rate or rank is not searched.

    Raises:
        NothingToDrawError: fewer than two keys were searched, or no trial has a value.
    """
    across, up = keys(subject)
    if subject.best is None:
        raise NothingToDrawError("no trial is complete yet")
    window = window_of(subject, reached=False)
    horizontal, vertical = axis_of(subject, across), axis_of(subject, up)
    at = strewn(subject, horizontal), strewn(subject, vertical)
    figure = go.Figure(list(marks(subject, *at, colour=colours(subject, window))))
    figure.update_layout(
        height=HEIGHT,
        xaxis=key_axis(horizontal),
        yaxis=key_axis(vertical),
        coloraxis=colour_axis(window, subject.minimised, objective(subject.objective)),
    )
    strewn_key = horizontal if horizontal.choices else vertical
    note = f"Trials of one {strewn_key.key} are moved apart a little." if strewn_key.choices else ""
    return Panel(figure, note)


def colours(subject: Subject, window: Window) -> Numbers:
    """Where each complete trial is on the colour axis of its objective."""
    values = subject.trials["value"]
    clipped = window.clipped(values.fillna(window.low))
    found: Numbers = values.notna().to_numpy().astype("float64")
    found[:] = scaled(window, list(clipped))
    return found
