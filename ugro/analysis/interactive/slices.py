"""Where along each searched key are the good trials? A panel a key, the objective upwards."""

from collections.abc import Iterator

from plotly import graph_objects as go

from ugro.analysis.interactive.look import Panel, key_axis, objective, value_axis
from ugro.analysis.interactive.marks import marks
from ugro.analysis.pictures.key_axis import KeyAxis
from ugro.analysis.pictures.key_axis import key_axis as axis_of
from ugro.analysis.pictures.marks import strewn
from ugro.analysis.pictures.slices import A_MEDIAN, MOST
from ugro.analysis.pictures.style import INK
from ugro.analysis.pictures.subject import NothingToDrawError, Subject
from ugro.analysis.pictures.window import Window, window_of
from ugro.formatting import share

HEIGHT = 300  # pixels


def draw(subject: Subject) -> list[Panel]:
    """The slices, the most important key first.

    Raises:
        NothingToDrawError: no key was searched, or no trial has come to a value.
    """
    if not subject.keys:
        raise NothingToDrawError("no key was searched")
    if subject.shown.isna().all():
        raise NothingToDrawError("no trial has come to a value yet")
    window = window_of(subject)
    return [_slice(subject, key, window) for key in subject.keys[:MOST]]


def _slice(subject: Subject, key: str, window: Window) -> Panel:
    axis = axis_of(subject, key)
    up = subject.shown.to_numpy()
    figure = go.Figure(list(marks(subject, strewn(subject, axis), up, legend=False)))
    figure.update_layout(
        shapes=[
            {
                "type": "line",
                "x0": place - 0.34,
                "x1": place + 0.34,
                "y0": median,
                "y1": median,
                "layer": "below",
                "line": {"color": INK, "width": 3},
            }
            for place, median in _medians(subject, axis)
        ],
        height=HEIGHT,
        xaxis=key_axis(axis, titled=False),
        yaxis=value_axis(window, objective(subject.objective)),
    )
    mattered = f"importance {share(subject.shares[key])}" if key in subject.shares else ""
    return Panel(figure, title=key, subtitle=mattered)


def _medians(subject: Subject, axis: KeyAxis) -> Iterator[tuple[int, float]]:
    """Of each choice that has some complete trials."""
    if not axis.choices:
        return
    complete = subject.trials["value"].dropna()
    at = axis.at(subject.tables.trials.loc[complete.index, axis.key])
    for place in range(len(axis.choices)):
        values = complete[at == place]
        if len(values) >= A_MEDIAN:
            yield place, float(values.median())
