"""Optuna by itself: ask and tell, with its pruner at each evaluation."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import TrialState

from ..plans import space


class OptunaAlone:
    """An in-memory study."""

    def __init__(
        self, sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner
    ) -> None:
        self._study = optuna.create_study(sampler=sampler, pruner=pruner)
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial."""
        self._trials[number] = self._study.ask(dict(space()))
        return self._trials[number].params

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether the pruner continues the trial."""
        self._trials[number].report(loss, evaluation)
        return not self._trials[number].should_prune()

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Record the trial as complete, pruned or, if diverged, failed."""
        trial = self._trials.pop(number)
        if value is None:
            self._study.tell(trial, state=TrialState.PRUNED)
        elif math.isnan(value):
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, value)
