"""Where along each searched key are the good trials? A panel a key, the objective upwards."""

import math

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ugro.analysis.pictures import labels
from ugro.analysis.pictures.key_axis import KeyAxis, key_axis
from ugro.analysis.pictures.marks import legend, mark, strewn
from ugro.analysis.pictures.style import INK, frame, new_figure, styled, title
from ugro.analysis.pictures.subject import NothingToDrawError, Subject
from ugro.analysis.pictures.window import window_of
from ugro.formatting import counted, share

WIDE, HIGH, LABELS = 4.1, 3.6, 1.2  # inches, of a panel; more where labels stand upright
MOST = 20  # panels
A_MEDIAN = 3  # complete trials of a choice that make one


@styled
def draw(subject: Subject) -> Figure:
    """The slices.

    Raises:
        NothingToDrawError: no key was searched, or no trial has come to a value.
    """
    if not subject.keys:
        raise NothingToDrawError("no key was searched")
    if subject.shown.isna().all():
        raise NothingToDrawError("no trial has come to a value yet")
    keys = subject.keys[:MOST]
    columns = _columns(len(keys))
    rows = math.ceil(len(keys) / columns)
    drawn = [key_axis(subject, key) for key in keys]
    high = HIGH + LABELS * any(axis.upright for axis in drawn)
    figure = new_figure(max(WIDE * columns, 9.0), high * rows + 1.6)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    window = window_of(subject)
    up = subject.shown.to_numpy()
    medians = False
    for axes, axis in zip(panels.flat, drawn, strict=False):
        mark(axes, subject, strewn(subject, axis), up, window)
        medians |= _medians(axes, subject, axis)
        axis.dress(axes, "x")
        if axis.key in subject.shares:
            title(axes, f"importance {share(subject.shares[axis.key])}", WIDE)
    window.dress(panels[0, 0], "y")
    for axes in panels[:, 0]:
        axes.set_ylabel(labels.label(subject.objective).replace(" (", "\n("))
    for axes in panels.flat[len(keys) :]:
        axes.remove()
    lines = [Line2D([], [], color=INK, linewidth=3, label="median of complete trials")] * medians
    left = len(subject.keys) - len(keys)
    more = f"{counted(left, 'key')} more not shown." if left else ""
    notes = [labels.stopped(subject), window.note, more]
    frame(figure, _finding(subject), notes, legend(figure, *lines))
    return figure


def _columns(keys: int) -> int:
    if keys <= 3:
        return keys
    if keys == 4:
        return 2
    return 3 if keys <= 6 else 4 if keys <= 12 else 5


def _medians(axes: Axes, subject: Subject, axis: KeyAxis) -> bool:
    """A bar at the median of each choice; whether there was any."""
    if not axis.choices:
        return False
    complete = subject.trials["value"].dropna()
    at = axis.at(subject.tables.trials.loc[complete.index, axis.key])
    found = [(place, complete[at == place]) for place in range(len(axis.choices))]
    drawn = [(place, values.median()) for place, values in found if len(values) >= A_MEDIAN]
    if drawn:
        places, medians = numpy.array(drawn).T
        axes.hlines(medians, places - 0.32, places + 0.32, color=INK, linewidth=3, zorder=2.3)
    return bool(drawn)


def _finding(subject: Subject) -> str:
    if subject.told is None:
        return labels.headline(subject)
    first = subject.told.of[0]
    of_all = f"{share(first.share)} of the importance by {subject.told.method}"
    return f"{labels.plain(first.key)} mattered most: {of_all}"
