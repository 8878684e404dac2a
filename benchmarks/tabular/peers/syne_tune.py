"""Syne Tune's baselines with ASHA, called as by its tuner.

Requires ``pip install -e .[bench]``.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, loguniform, ordinal, uniform
from syne_tune.optimizer.baselines import ASHACQR, BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision, TrialScheduler

from ..curves import POINTS
from ..plans import space

BASELINES: Mapping[str, Callable[..., TrialScheduler]] = {"BOHB": BOHB, "CQR": ASHACQR}


class SyneTune:
    """A baseline of Syne Tune."""

    def __init__(self, baseline: str, seed: int) -> None:
        numpy.random.seed(seed)  # BOHB draws random configurations from the global generator
        self._scheduler = BASELINES[baseline](
            {key: _domain(over) for key, over in space().items()},
            metric="loss",
            time_attr="epoch",
            max_t=POINTS,
            random_seed=seed,
        )
        self._trials: dict[int, Trial] = {}

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial."""
        suggested = self._scheduler.suggest()
        self._trials[number] = Trial(number, suggested.config, datetime.now())
        self._scheduler.on_trial_add(self._trials[number])
        return dict(suggested.config)

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether ASHA continues the trial; its models refuse NaN, which is not reported."""
        if math.isnan(loss):
            return True
        reported = {"loss": loss, "epoch": evaluation}
        decision = self._scheduler.on_trial_result(self._trials[number], reported)
        return bool(decision != SchedulerDecision.STOP)

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Record the trial as complete, stopped or, if diverged, failed."""
        trial = self._trials.pop(number)
        if math.isnan(loss):
            self._scheduler.on_trial_error(trial)
        elif value is None:
            self._scheduler.on_trial_remove(trial)
        else:
            self._scheduler.on_trial_complete(trial, {"loss": loss, "epoch": evaluation})


def _domain(over: BaseDistribution) -> Any:
    """Convert a distribution to Syne Tune's domain."""
    if isinstance(over, CategoricalDistribution):
        numbers = [float(choice) for choice in over.choices if isinstance(choice, int | float)]
        return ordinal(numbers) if numbers else choice(list(over.choices))
    assert isinstance(over, FloatDistribution)
    return (loguniform if over.log else uniform)(over.low, over.high)
