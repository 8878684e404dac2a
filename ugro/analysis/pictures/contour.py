"""Where is the objective good over the two numbers that mattered most? A surface through trials."""

from collections.abc import Iterator, Sequence

import numpy
import pandas
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ugro.analysis.comparable import comparable
from ugro.analysis.pictures import labels
from ugro.analysis.pictures.key_axis import KeyAxis, key_axis
from ugro.analysis.pictures.marks import best_and_baseline, legend, size
from ugro.analysis.pictures.shading import shades
from ugro.analysis.pictures.style import FAINT, frame, new_figure, styled
from ugro.analysis.pictures.subject import NothingToDrawError, Subject, drawable
from ugro.analysis.pictures.surface import MOST, Surface, surface
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.window import Window, window
from ugro.formatting import counted, share

FEWEST, DISTINCT = 12, 3  # trials, and values of a key
EXPLAINED = 0.15  # of the variance, of each trial by the others: below that there is no surface
BANDS = 10


@styled
def draw(subject: Subject) -> Figure:
    """The contour, through the values of trials at equal tokens where many were stopped early.

    Raises:
        NothingToDrawError: too few trials or numeric keys, or the two do not tell the objective.
    """
    across, up = _axes(subject)
    told = comparable(subject.tables)
    values = drawable(told.values if subject.minimised else -told.values).dropna()
    places = pandas.DataFrame(
        {
            axis.key: axis.at(subject.tables.trials.loc[values.index, axis.key])
            for axis in (across, up)
        },
        index=values.index,
    ).dropna()
    values = values[places.index]
    of_value = window(values, subject.minimised)
    found = fitted(across, up, places, values, of_value)
    figure = new_figure(12.0, 7.4)
    axes = figure.subplots()
    levels = _levels(of_value.place(found.values))
    scale = BoundaryNorm(levels, 256, clip=True)
    colours = shades(subject.minimised)
    filled = axes.contourf(
        across.place(found.cells), up.place(found.cells),
        numpy.ma.masked_invalid(of_value.place(found.values)),
        levels=levels, cmap=colours, norm=scale,
    )  # fmt: skip
    axes.scatter(
        places[across.key], places[up.key], c=values, cmap=colours, norm=scale, label="trials",
        s=size(len(values)), edgecolors="white", linewidths=0.4 if len(values) > 300 else 1.0,
        zorder=3,
    )  # fmt: skip
    for number, looks in best_and_baseline(subject):
        if number in places.index:
            axes.scatter(*places.loc[number], **looks)
    across.dress(axes, "x")
    up.dress(axes, "y")
    axes.grid(False)
    bar = figure.colorbar(filled, ax=axes, pad=0.02, spacing="uniform")
    bar.set_ticks(levels, labels=_told_apart(levels))
    at = told.of.partition(" at ")[2]
    bar.set_label(labels.label(subject.objective) + (f"\nat {at}" if at else ""))
    dot = Line2D(
        [], [], marker="o", linestyle="none", color=FAINT, label="trial, in its own colour"
    )
    frame(
        figure, _finding(subject, across, up, found, at), list(_notes(told.of, found, len(values))),
        legend(figure, dot),
    )  # fmt: skip
    return figure


def _axes(subject: Subject) -> tuple[KeyAxis, KeyAxis]:
    """The two most important keys that are numbers."""
    numeric = [axis for axis in (key_axis(subject, key) for key in subject.keys) if axis.ordered]
    if len(numeric) < 2:
        raise NothingToDrawError("fewer than two of the searched keys are numbers")
    return numeric[0], numeric[1]


def fitted(
    across: KeyAxis, up: KeyAxis, places: pandas.DataFrame, values: pandas.Series, of_value: Window
) -> Surface:
    """The surface over two keys, on the unit square.

    Raises:
        NothingToDrawError: the data cannot support one.
    """
    if len(values) < FEWEST:
        raise NothingToDrawError(f"{counted(len(values), 'trial')} can be compared, not {FEWEST}")
    for axis in (across, up):
        if places[axis.key].nunique() < DISTINCT:
            raise NothingToDrawError(f"{axis.key} has had fewer than {DISTINCT} values")
    heights = of_value.unit(values)
    if numpy.ptp(heights) < 1e-6:
        raise NothingToDrawError("all trials have the same value")
    at = [axis.unit(places[axis.key].to_numpy()) for axis in (across, up)]
    found = surface(numpy.column_stack(at), heights)
    if found.explained < EXPLAINED or numpy.isnan(found.values).all():
        explained = share(max(found.explained, 0.0))
        raise NothingToDrawError(
            f"{across.key} and {up.key} alone explain {explained} of what trials differ by"
        )
    return found


def _levels(heights: Numbers) -> list[float]:
    """Between any two lies the same share of the surface: flat parts are seen too."""
    seen = heights[~numpy.isnan(heights)]
    return [
        float(one) for one in numpy.unique(numpy.quantile(seen, numpy.linspace(0, 1, BANDS + 1)))
    ]


def _told_apart(levels: Sequence[float]) -> list[str]:
    """With as many digits as it takes."""
    for digits in range(3, 16):
        texts = [f"{level:.{digits}g}" for level in levels]
        if len(set(texts)) == len(texts):
            break
    return texts


def _finding(subject: Subject, across: KeyAxis, up: KeyAxis, found: Surface, at: str) -> str:
    """Where the surface is best."""
    best = numpy.nanargmin if subject.minimised else numpy.nanargmax
    row, column = numpy.unravel_index(best(found.values), found.values.shape)
    near = [
        f"{labels.plain(axis.key)} = {axis.told(float(found.cells[cell]))}"
        for axis, cell in ((across, column), (up, row))
    ]
    side = "lowest" if subject.minimised else "highest"
    told = f"{labels.name(subject.objective)} is {side} near {', '.join(near)}"
    told = f"at {at} {told}" if at else told
    return told[:1].upper() + told[1:]


def _notes(of: str, found: Surface, trials: int) -> Iterator[str]:
    yield f"Surface: a Gaussian process through the {labels.plain(of)}, whatever their other keys."
    yield f"Of the variance of trials that are left out it explains {share(found.explained)}."
    if trials > MOST:
        yield f"Fitted to {MOST} of them."
    if numpy.isnan(found.values).any():
        yield "White: no trial is near."
