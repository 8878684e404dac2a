"""Trials as points, grouped by how they are marked."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy
from numpy.typing import NDArray

from ugro.analysis.figures.drawing.ticks import Numbers
from ugro.analysis.figures.study_view import Kind, StudyView


class Highlight(Enum):
    """Trials with a mark of their own, over all others."""

    BASELINE = "baseline"
    BEST = "best"


ORDER = (Kind.STOPPED, Kind.FAILED, Kind.INFEASIBLE, Kind.RUNNING, Kind.COMPLETE)  # bottom first


@dataclass(frozen=True)
class Points:
    """Trials with the same mark.

    Attributes:
        label: the entry in the legend
        numbers: of the trials
        x, y: their positions on the axes
    """

    mark: Kind | Highlight
    label: str
    numbers: tuple[int, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]


def points_of(view: StudyView, x: Numbers, y: Numbers) -> tuple[Points, ...]:
    """Group a study's trials by kind; the baseline and the best come again, on top.

    Args:
        view: the study
        x, y: [trials], NaN for trials that are not drawn
    """
    drawn = ~numpy.isnan(x) & ~numpy.isnan(y)
    numbers = view.trials.index.to_numpy()
    kinds = view.trials["kind"]

    def selected(mark: Kind | Highlight, label: str, which: NDArray[numpy.bool_]) -> Points:
        return Points(
            mark,
            label,
            tuple(int(one) for one in numbers[which]),
            tuple(float(one) for one in x[which]),
            tuple(float(one) for one in y[which]),
        )

    groups = [
        *(selected(kind, kind.value, numpy.asarray(kinds == kind) & drawn) for kind in ORDER),
        *(selected(mark, label, (numbers == at) & drawn) for mark, label, at in highlights(view)),
    ]
    return tuple(group for group in groups if group.numbers)


def highlights(view: StudyView) -> Iterator[tuple[Highlight, str, int]]:
    """The baseline and the best: mark, label and number; a trial that is both is the best."""
    if view.baseline is not None and view.baseline != view.best:
        yield Highlight.BASELINE, Highlight.BASELINE.value, view.baseline
    if view.best is not None:
        both = view.best == view.baseline
        yield Highlight.BEST, "best: the baseline" if both else Highlight.BEST.value, view.best
