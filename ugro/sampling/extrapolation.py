"""Extrapolation of unfinished learning curves for samplers that use complete trials only.

Optuna's Gaussian process ignores stopped and running trials: with early stopping, nine tenths.
"""

import copy
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ugro.events.outcome import Outcome
from ugro.study.trial_record import recorded_outcome

MIN_TRIALS = 6  # longer trials required to estimate a slope
MAX_SLOPE = 2.0
# Outcomes that are extrapolated. None: a trial pruned by another program.
CUT_OFF = (None, Outcome.RUNG, Outcome.BUDGET, Outcome.STUDY_LIMIT)


@dataclass(frozen=True)
class Curve:
    """Learning curve of a trial.

    Attributes:
        resources: resource of each report, ascending, [reports]
        values: objective of each report, [reports]
        end: final value if the trial is complete
    """

    resources: Sequence[float]
    values: Sequence[float]
    end: float | None = None

    @property
    def last(self) -> float:
        """Resource of the last report."""
        return self.resources[-1]

    def at(self, resource: float) -> float:
        """Interpolate the objective linearly at a resource that the trial has passed."""
        return float(numpy.interp(resource, self.resources, self.values))


def extrapolated(curves: Sequence[Curve]) -> list[float]:
    """Predict the final value of each trial, in the given order.

    Trials are predicted from the longest to the shortest, by a linear regression of the final
    values of longer trials on their values where this trial ends. Regression predicts final values
    nearly as well as more elaborate models of partial curves (Baker et al. 2017,
    arXiv:1705.10823). The slope is clipped to [0, 2]; with few longer trials it is 1, so that only
    the mean change is added. While no trial is complete, the longest trials keep their last values.
    """
    finals: dict[int, float] = {
        index: curve.end for index, curve in enumerate(curves) if curve.end is not None
    }
    incomplete = [index for index in range(len(curves)) if index not in finals]
    incomplete.sort(key=lambda index: -curves[index].last)
    for last, group in groupby(incomplete, key=lambda index: curves[index].last):
        longer = [index for index in finals if curves[index].last >= last]
        before = numpy.array([curves[index].at(last) for index in longer])
        after = numpy.array([finals[index] for index in longer])
        for index in group:
            finals[index] = _predicted(before, after, curves[index].values[-1])
    return [finals[index] for index in range(len(curves))]


def _predicted(before: Any, after: Any, value: float) -> float:
    if not len(before):
        return value
    slope, variance = 1.0, float(numpy.var(before))
    if len(before) >= MIN_TRIALS and variance > 0:
        covariance = float(numpy.mean((before - before.mean()) * (after - after.mean())))
        slope = min(max(0.0, covariance / variance), MAX_SLOPE)
    return float(after.mean() + slope * (value - before.mean()))


class ExtrapolatedStudy(InMemoryStorage):
    """In-memory storage that presents trials with reports as complete, for a single objective.

    Stopped and running trials have their predicted final value; diverged and infeasible trials and
    rejected draws have the worst value of all, or the sampler would propose them again and again. A
    report at resource 0 is the base model's and is ignored.
    """

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return trials in the requested states, extrapolated if COMPLETE is among them."""
        if states is not None and TrialState.COMPLETE not in states:
            return super().get_all_trials(study_id, deepcopy, states)
        trials = super().get_all_trials(study_id, deepcopy)
        curves = {trial.number: curve for trial in trials if (curve := _curve(trial)) is not None}
        values = dict(zip(curves, extrapolated(list(curves.values())), strict=True))
        minimised = self.get_study_directions(study_id) == [StudyDirection.MINIMIZE]
        complete = {t.number: t.values[0] for t in trials if t.state is TrialState.COMPLETE}
        values = complete | values
        worst = (max if minimised else min)(values.values(), default=None)
        extrapolated_trials = []
        for trial in trials:
            value = worst if _is_worst(trial) else values.get(trial.number)
            extrapolated_trials.append(trial if value is None else _completed(trial, value))
        return [trial for trial in extrapolated_trials if states is None or trial.state in states]


def _is_worst(trial: FrozenTrial) -> bool:
    """Whether a trial is ranked behind all others."""
    outcome = recorded_outcome(trial)
    rejected = trial.state is TrialState.PRUNED and outcome is None and trial.last_step is None
    return rejected or outcome in (Outcome.DIVERGED, Outcome.INFEASIBLE)


def _curve(trial: FrozenTrial) -> Curve | None:
    """Return the trial's learning curve, or None if it has none that can be extrapolated."""
    reports = [report for report in sorted(trial.intermediate_values.items()) if report[0] > 0]
    usable = trial.state in (TrialState.COMPLETE, TrialState.RUNNING) or (
        trial.state is TrialState.PRUNED and recorded_outcome(trial) in CUT_OFF
    )
    if not usable or not reports or not all(math.isfinite(value) for _, value in reports):
        return None
    end = trial.values[0] if trial.state is TrialState.COMPLETE else None
    return Curve([resource for resource, _ in reports], [value for _, value in reports], end)


def _completed(trial: FrozenTrial, value: float) -> FrozenTrial:
    """Return a copy of the trial that is complete with the value."""
    completed = copy.copy(trial)
    completed.state, completed.values = TrialState.COMPLETE, [value]
    return completed
