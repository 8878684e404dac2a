"""SMAC3's facades, by ask and tell.

Requires ``pip install -e .[bench]``.
"""

import math
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any

from smac import HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario
from smac.intensifier.hyperband_utils import get_n_trials_for_hyperband_multifidelity
from smac.runhistory import StatusType, TrialInfo, TrialValue

from ..curves import POINTS
from .choices import proposed
from .config_space import config_space
from .losses import Losses


class Smac:
    """SMAC with the default components of a facade.

    The multi-fidelity facade, "the closest implementation to BOHB", is for trials with budgets; the
    other is for trials without (documentation, "Getting Started"). As in the example "Multi-Layer
    Perceptron Using Multiple Epochs", the budget is rounded up to evaluations, and a
    configuration that is promoted starts anew. ``n_trials``, of which a quarter at most is the
    initial design, follows from the total budget as in "Specify Number of Trials via a Total Budget
    in Hyperband". A diverged trial is a crash with a finite cost: the default, infinity, ends the
    search at the next fit of the random forest.

    Args:
        seed: seed of SMAC
        whole_trials: what the search may cost, in trials that are not stopped
        multi_fidelity: whether trials have budgets
    """

    def __init__(self, seed: int, whole_trials: int, multi_fidelity: bool) -> None:
        self._output = TemporaryDirectory()  # the scenario is written, with or without results
        common = {
            "configspace": config_space(seed, ordered=True),
            "output_directory": self._output.name,
            "deterministic": True,
            "seed": seed,
        }
        scenario, facade = (
            (Scenario(**common, **_budgets(whole_trials)), MultiFidelityFacade)
            if multi_fidelity
            else (Scenario(**common, n_trials=whole_trials), HyperparameterOptimizationFacade)
        )
        self._smac = facade(scenario, logging_level=False, overwrite=True)
        self._trials: dict[int, TrialInfo] = {}
        self._losses = Losses()

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial, or of one that is promoted."""
        self._trials[number] = self._smac.ask()
        return proposed(dict(self._trials[number].config))

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether the trial's budget is not used up."""
        self._losses.told(loss)
        budget = self._trials[number].budget
        return math.isfinite(loss) and (budget is None or evaluation < math.ceil(budget))

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Record the trial's loss, or its crash."""
        finite = math.isfinite(loss if value is None else value)
        told = TrialValue(
            self._losses.told(loss, value),
            status=StatusType.SUCCESS if finite else StatusType.CRASHED,
        )
        self._smac.tell(self._trials.pop(number), told, save=False)


def _budgets(whole_trials: int) -> dict[str, int]:
    budgets = {"min_budget": 1, "max_budget": POINTS}
    trials = get_n_trials_for_hyperband_multifidelity(
        total_budget=whole_trials * POINTS, eta=3, print_summary=False, **budgets
    )
    return {**budgets, "n_trials": trials}
