"""Which learning rate goes with which rank? A map of the two, coloured by the objective."""

from matplotlib.figure import Figure

from ugro.analysis.pictures import labels
from ugro.analysis.pictures.key_axis import key_axis
from ugro.analysis.pictures.marks import legend, mark, strewn
from ugro.analysis.pictures.shading import colour_bar, shading_of
from ugro.analysis.pictures.style import frame, new_figure, styled
from ugro.analysis.pictures.subject import RATE, NothingToDrawError, Subject
from ugro.analysis.pictures.window import window_of

RANK = "lora.r"


@styled
def draw(subject: Subject) -> Figure:
    """The map, of the two most important keys where rate or rank is not searched.

    Raises:
        NothingToDrawError: fewer than two keys were searched, or no trial has a value.
    """
    across, up = keys(subject)
    if subject.best is None:
        raise NothingToDrawError("no trial is complete yet")
    figure = new_figure(12.0, 7.4)
    axes = figure.subplots()
    window = window_of(subject, reached=False)
    shading = shading_of(window, subject.minimised)
    horizontal, vertical = key_axis(subject, across), key_axis(subject, up)
    mark(axes, subject, strewn(subject, horizontal), strewn(subject, vertical), shading=shading)
    horizontal.dress(axes, "x")
    vertical.dress(axes, "y")
    colour_bar(figure, axes, shading, labels.label(subject.objective))
    beyond = window.note.replace("drawn at its edge", "coloured as its end").replace(
        "axis", "scale"
    )
    found = f"{labels.best_at(subject, across, up)}: {labels.value(subject, subject.best)}"
    frame(figure, found, [beyond], legend(figure, shaded=True))
    return figure


def keys(subject: Subject) -> tuple[str, str]:
    """The two that are drawn, across and upwards.

    Raises:
        NothingToDrawError: fewer than two were searched.
    """
    if RATE in subject.keys and RANK in subject.keys:
        return RATE, RANK
    if len(subject.keys) < 2:
        raise NothingToDrawError("fewer than two keys were searched")
    return subject.keys[0], subject.keys[1]
