"""Optuna by itself: ask and tell, with its pruner at each evaluation."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import TrialState

from ..curves import POINTS
from ..plans import space


class OptunaAlone:
    """An in-memory study.

    Choices are categorical: Optuna has no ordered ones. A diverged trial is pruned at NaN, as by
    ``ThresholdPruner``, which ranks it behind all trials that came as far. As a failed trial it
    would teach nothing.
    """

    def __init__(
        self, sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner
    ) -> None:
        # HyperbandPruner chooses a trial's bracket by the study's name, which is random by default.
        self._study = optuna.create_study(study_name="peer", sampler=sampler, pruner=pruner)
        self._trials: dict[int, optuna.Trial] = {}
        self._reported: dict[int, int] = {}  # last evaluation of each trial

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial."""
        self._trials[number] = self._study.ask(dict(space()))
        return self._trials[number].params

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether the pruner continues the trial."""
        self._report(number, evaluation, loss)
        return math.isfinite(loss) and not self._trials[number].should_prune()

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Record the trial as complete or pruned."""
        diverged = value is not None and math.isnan(value)
        if diverged and self._reported.get(number) != evaluation:
            self._report(number, evaluation, math.nan)
        trial = self._trials.pop(number)
        if value is None or diverged:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, value)

    def _report(self, number: int, evaluation: int, loss: float) -> None:
        self._trials[number].report(loss, evaluation)
        self._reported[number] = evaluation


def optuna_hyperband(seed: int) -> OptunaAlone:
    """Return Optuna with multivariate TPE and Hyperband.

    "For TPESampler, HyperbandPruner is the best" (tutorial "Efficient Optimization Algorithms",
    section "Which Sampler and Pruner Should be Used?"), with the arguments of HyperbandPruner's
    example. Multivariate TPE "is reported to outperform the independent TPE", and the constant liar
    spreads parallel trials (reference of TPESampler); Optuna 5 has both by default. Groups would
    change nothing in a space without conditional keys.
    """
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=POINTS, reduction_factor=3)
    return OptunaAlone(sampler, pruner)
