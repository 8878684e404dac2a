"""What would trials have come to that were stopped, or still run? So a sampler learns of them too.

Optuna's Gaussian process knows complete trials alone: of a sweep with early stopping a tenth.
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
from ugro.study.study import ending

ENOUGH = 6  # trials, to tell by how much differences grow or shrink
STEEPEST = 2.0
# None: another program's pruned trial
CUT_OFF = (None, Outcome.RUNG, Outcome.BUDGET, Outcome.STUDY_LIMIT)


@dataclass(frozen=True)
class Curve:
    """What a trial has reported.

    Attributes:
        resources: at which it did, ascending, [reports]
        values: the objective there, [reports]
        end: its value, if it has come to its end
    """

    resources: Sequence[float]
    values: Sequence[float]
    end: float | None = None

    @property
    def last(self) -> float:
        """How far it came."""
        return self.resources[-1]

    def at(self, resource: float) -> float:
        """The objective at a resource that it has passed, linear between two reports."""
        return float(numpy.interp(resource, self.resources, self.values))


def extrapolated(curves: Sequence[Curve]) -> list[float]:
    """The values that trials would have come to, in the order given.

    Those that went on tell those that did not: from the farthest to the shortest, a linear
    regression of what farther trials come to on what they had where this one ends. Partial curves
    predict a final value nearly as well by regression as by more elaborate models (Baker et al.
    2017, arXiv:1705.10823). The slope is kept within 0 and 2; of few farther trials only the mean
    change is taken. While none is complete, values are those at the farthest report.
    """
    found: dict[int, float] = {
        index: curve.end for index, curve in enumerate(curves) if curve.end is not None
    }
    unknown = [index for index in range(len(curves)) if index not in found]
    unknown.sort(key=lambda index: -curves[index].last)
    for last, group in groupby(unknown, key=lambda index: curves[index].last):
        farther = [index for index in found if curves[index].last >= last]
        before = numpy.array([curves[index].at(last) for index in farther])
        after = numpy.array([found[index] for index in farther])
        for index in group:
            found[index] = _predicted(before, after, curves[index].values[-1])
    return [found[index] for index in range(len(curves))]


def _predicted(before: Any, after: Any, value: float) -> float:
    if not len(before):
        return value
    slope, spread = 1.0, float(numpy.var(before))
    if len(before) >= ENOUGH and spread > 0:
        covariance = float(numpy.mean((before - before.mean()) * (after - after.mean())))
        slope = min(max(0.0, covariance / spread), STEEPEST)
    return float(after.mean() + slope * (value - before.mean()))


class ExtrapolatedStudy(InMemoryStorage):
    """A study in memory, of one objective, in which trials look complete that have reported.

    What was stopped for its rank, and what still runs, has the value that it would come to; what
    diverged has the worst there is. A report at resource 0 is the base model's and tells nothing.
    """

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Optuna's, but where complete trials are among those that are asked for."""
        if states is not None and TrialState.COMPLETE not in states:
            return super().get_all_trials(study_id, deepcopy, states)
        trials = super().get_all_trials(study_id, deepcopy)
        curves = {trial.number: curve for trial in trials if (curve := _curve(trial)) is not None}
        values = dict(zip(curves, extrapolated(list(curves.values())), strict=True))
        minimised = self.get_study_directions(study_id) == [StudyDirection.MINIMIZE]
        worst = (max if minimised else min)(values.values(), default=None)
        seen = []
        for trial in trials:
            value = worst if ending(trial) is Outcome.DIVERGED else values.get(trial.number)
            seen.append(trial if value is None else _completed(trial, value))
        return [trial for trial in seen if states is None or trial.state in states]


def _curve(trial: FrozenTrial) -> Curve | None:
    """None where there is nothing to extrapolate, and nothing that others could learn from."""
    told = [one for one in sorted(trial.intermediate_values.items()) if one[0] > 0]
    known = trial.state in (TrialState.COMPLETE, TrialState.RUNNING) or (
        trial.state is TrialState.PRUNED and ending(trial) in CUT_OFF
    )
    if not known or not told or not all(math.isfinite(value) for _, value in told):
        return None
    end = trial.values[0] if trial.state is TrialState.COMPLETE else None
    return Curve([resource for resource, _ in told], [value for _, value in told], end)


def _completed(trial: FrozenTrial, value: float) -> FrozenTrial:
    """As the sampler is to see it; the trial itself stays as it is."""
    seen = copy.copy(trial)
    seen.state, seen.values = TrialState.COMPLETE, [value]
    return seen
