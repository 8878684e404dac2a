"""Syne Tune's baselines, called as by its tuner.

Requires ``pip install -e .[bench]``.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, loguniform, uniform
from syne_tune.optimizer.baselines import ASHACQR, BOHB, CQR
from syne_tune.optimizer.scheduler import SchedulerDecision, TrialScheduler
from syne_tune.utils import streamline_config_space

from ..curves import POINTS
from ..plans import space
from .choices import numeric_choices, proposed
from .losses import Losses


class SyneTune:
    """A baseline of Syne Tune with its default settings.

    "We recommend using CQR and ASHA-CQR for single-fidelity and multi-fidelity respectively"
    (documentation, "Getting started"). The space is that of ``streamline_config_space``, which the
    page "Search Space" recommends for spaces of other libraries: it orders choices of numbers.

    Args:
        baseline: BOHB, ASHA-CQR or CQR
        seed: seed of the scheduler
    """

    def __init__(self, baseline: str, seed: int) -> None:
        numpy.random.seed(seed)  # BOHB draws random configurations from the global generator
        searched = streamline_config_space({key: _domain(over) for key, over in space().items()})
        self._scheduler = _scheduler(baseline, searched, seed)
        self._trials: dict[int, Trial] = {}
        self._stopped: set[int] = set()
        self._losses = Losses()

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial."""
        suggested = self._scheduler.suggest()
        self._trials[number] = Trial(number, suggested.config, datetime.now())
        self._scheduler.on_trial_add(self._trials[number])
        return proposed(suggested.config)

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether the scheduler continues the trial."""
        reported = {"loss": self._losses.told(loss), "epoch": evaluation}
        decision = self._scheduler.on_trial_result(self._trials[number], reported)
        if decision == SchedulerDecision.STOP:
            self._stopped.add(number)
        return decision != SchedulerDecision.STOP and math.isfinite(loss)

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Record the trial as stopped by the scheduler, as at its last rung, or as complete."""
        trial, reported = self._trials.pop(number), self._losses.told(loss)
        if number in self._stopped:
            self._scheduler.on_trial_remove(trial)
        else:
            self._scheduler.on_trial_complete(trial, {"loss": reported, "epoch": evaluation})


def _scheduler(baseline: str, searched: dict[str, Any], seed: int) -> TrialScheduler:
    if baseline == "CQR":
        return CQR(searched, metric="loss", random_seed=seed)
    halving = {"BOHB": BOHB, "ASHA-CQR": ASHACQR}[baseline]
    return halving(searched, metric="loss", time_attr="epoch", max_t=POINTS, random_seed=seed)


def _domain(over: BaseDistribution) -> Any:
    """Convert a distribution to Syne Tune's domain."""
    if isinstance(over, CategoricalDistribution):
        return choice(list(numeric_choices(over) or over.choices))
    assert isinstance(over, FloatDistribution)
    return (loguniform if over.log else uniform)(over.low, over.high)
