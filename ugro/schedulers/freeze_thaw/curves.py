"""Learning curves of a study's trials, and what of them a model of curves is fitted to."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from statistics import mean

import numpy

from ugro.schedulers.base import Array
from ugro.schedulers.freeze_thaw.curve_process import Observations

SPACING = 1.25  # least ratio of the progress of successive observations of a trial
MAX_SPACING = 1000.0  # only the last observation of each trial remains
# The most observations, as a fit takes cubic time: beyond it the spacing grows; beyond as many
# trials those are left out that were paused first, the worst first.
MAX_OBSERVATIONS = 500
EARLY = 0.5  # share of a run
MIN_CHECKED, MAX_MISSED = 3, 3.0
NOT_LEARNING = 0.02  # a smaller change, as a share of the largest one, says nothing about the end


class State(Enum):
    """What a trial is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    ENDED = "ended"  # before that, by a failure, a limit or a rule


@dataclass(frozen=True)
class Prediction:
    """Predicted change at the end of a run.

    Attributes:
        mean: expected change
        deviation: its standard deviation, noise included
    """

    mean: float
    deviation: float


@dataclass
class Curve:
    """Learning curve of a trial.

    Attributes:
        number: index of the trial in the order of their start
        point: its configuration, [keys]
        state: what the trial is doing
        spared: whether it is never paused
        committed: whether it was chosen to run to its end
        resumed_at: share of the run at which it last resumed
        progress: share of the run at each report
        changes: objective at each report minus that of the untrained model; smaller is better
        early: the first prediction of its end, if it was made before ``EARLY`` of the run
    """

    number: int
    point: Array
    state: State = State.RUNNING
    spared: bool = False
    committed: bool = False
    resumed_at: float = 0.0
    progress: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    early: Prediction | None = None

    @property
    def reached(self) -> float:
        """Share of the run that the trial has reached."""
        return self.progress[-1] if self.progress else 0.0


def missed_by(curves: Iterable[Curve]) -> float:
    """Return how far early predictions missed the ends of complete trials.

    The root mean square in standard deviations, between 1 and ``MAX_MISSED``; 1 with few trials.
    """
    squares = [
        ((curve.changes[-1] - curve.early.mean) / curve.early.deviation) ** 2
        for curve in curves
        if curve.early is not None and curve.state is State.COMPLETE
    ]
    if len(squares) < MIN_CHECKED:
        return 1.0
    return min(max(math.sqrt(mean(squares)), 1.0), MAX_MISSED)


def observations(curves: Iterable[Curve], noise: float) -> tuple[Observations, float] | None:
    """Select what the model is fitted to; None while there is nothing to fit.

    Reports are thinned to geometric spacing: those of a slow curve hardly differ. Reports of trials
    that have not begun to learn are left out, as the model assumes growth from the first step.

    Args:
        curves: curves of all trials
        noise: standard deviation of the changes' noise, if known, else 0

    Returns:
        Scaled observations, and the scale: changes per unit.
    """
    curves = [curve for curve in curves if curve.changes]
    curves = sorted(curves, key=lambda curve: (-curve.reached, curve.changes[-1]))
    curves = curves[:MAX_OBSERVATIONS]
    largest = max((-curve.changes[-1] for curve in curves), default=0.0)
    least, spacing = max(3 * noise, NOT_LEARNING * largest), SPACING
    rows = [row for curve in curves for row in _rows(curve, least, spacing)]
    while len(rows) > MAX_OBSERVATIONS and spacing < MAX_SPACING:
        spacing *= 1.5
        rows = [row for curve in curves for row in _rows(curve, least, spacing)]
    if not rows:
        return None
    owners, progress, changes = zip(*rows, strict=True)
    scale = max(float(numpy.std(changes)), 1e-6)
    return (
        Observations(
            numpy.array([owner.point for owner in owners]),
            numpy.array([owner.number for owner in owners]),
            numpy.array(progress),
            numpy.array(changes) / scale,
        ),
        scale,
    )


def _rows(curve: Curve, least: float, spacing: float) -> Iterator[tuple[Curve, float, float]]:
    """Yield trial, progress and change of each observation of a curve."""
    before, last = 0.0, len(curve.progress) - 1
    for index, (progress, change) in enumerate(zip(curve.progress, curve.changes, strict=True)):
        started = abs(change) >= least or progress >= 1
        if started and (index == last or progress >= before * spacing):
            yield curve, min(progress, 1.0), change
            before = progress
