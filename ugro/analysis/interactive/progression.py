"""How did the search go on? Each trial's objective, in order, and the best so far."""

import numpy
from plotly import graph_objects as go

from ugro.analysis.interactive.look import Panel, beyond, objective, together, value_axis
from ugro.analysis.interactive.marks import marks
from ugro.analysis.pictures import labels
from ugro.analysis.pictures.style import BEST
from ugro.analysis.pictures.subject import NothingToDrawError, Subject
from ugro.analysis.pictures.window import window_of


def draw(subject: Subject) -> Panel:
    """The progression.

    Raises:
        NothingToDrawError: no trial has come to a value.
    """
    if subject.shown.isna().all():
        raise NothingToDrawError("no trial has come to a value yet")
    window = window_of(subject)
    numbers = subject.trials.index.to_numpy(dtype="float64")
    few = len(numbers) <= 10  # plotly would mark halves, and call them trials
    better = subject.improvements(subject.trials["value"].dropna())
    figure = go.Figure()
    if len(better):
        across = numpy.append(better.index.to_numpy(dtype="float64"), numbers[-1])
        up = numpy.append(better.to_numpy(dtype="float64"), better.iloc[-1])
        figure.add_scatter(
            x=across, y=up, mode="lines", name="best so far", hoverinfo="skip",
            line={"color": BEST, "width": 2.5, "shape": "hv"},
        )  # fmt: skip
    figure.add_traces(list(marks(subject, numbers, subject.shown.to_numpy())))
    figure.update_layout(
        xaxis={"title": {"text": "trial"}, "tickformat": ",d"} | ({"dtick": 1} if few else {}),
        yaxis=value_axis(window, objective(subject.objective)),
    )
    return Panel(figure, together(labels.stopped(subject), beyond(window)))
