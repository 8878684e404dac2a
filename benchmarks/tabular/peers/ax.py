"""Ax's client, with its early stopping.

Requires ``pip install -e .[bench]``.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from ..curves import POINTS
from ..plans import space
from .choices import numeric_choices, proposed
from .losses import Losses


class Ax:
    """The default generation strategy: the centre, Sobol's sequence, then Bayesian optimization.

    Called as in the tutorial "Trial-level early stopping". The initialization may exceed its budget
    (recipe "Influencing The Choice of a Generation Strategy"): otherwise slots wait while its five
    trials run.

    Args:
        seed: seed of the client and of Sobol's sequence
    """

    def __init__(self, seed: int) -> None:
        logging.getLogger("ax").setLevel(logging.ERROR)
        self._client = Client(random_seed=seed)
        self._client.configure_experiment([_parameter(key, over) for key, over in space().items()])
        self._client.configure_optimization("-loss")
        self._client.configure_generation_strategy(
            initialization_random_seed=seed, allow_exceeding_initialization_budget=True
        )
        self._trials: dict[int, int] = {}
        self._losses = Losses()

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial."""
        [(self._trials[number], parameters)] = self._client.get_next_trials(1).items()
        return proposed(parameters)

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether Ax continues the trial; its last evaluation completes it."""
        self._losses.told(loss)
        if not math.isfinite(loss):
            return False
        if evaluation == POINTS:
            return True
        index = self._trials[number]
        self._client.attach_data(index, {"loss": loss}, progression=evaluation)
        return not self._client.should_stop_trial_early(index)

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Record the trial as complete, also if it has diverged, or as stopped."""
        index = self._trials.pop(number)
        if value is None and math.isfinite(loss):
            self._client.mark_trial_early_stopped(index)
        else:
            reported = {"loss": self._losses.told(loss)}
            self._client.complete_trial(index, reported, progression=evaluation)


def _parameter(key: str, over: BaseDistribution) -> RangeParameterConfig | ChoiceParameterConfig:
    if isinstance(over, CategoricalDistribution):
        numbers = numeric_choices(over)
        return ChoiceParameterConfig(
            name=key,
            values=list(numbers or over.choices),
            parameter_type="str" if numbers is None else "float",
            is_ordered=numbers is not None,
        )
    assert isinstance(over, FloatDistribution)
    return RangeParameterConfig(
        name=key,
        bounds=(over.low, over.high),
        parameter_type="float",
        scaling="log" if over.log else "linear",
    )
