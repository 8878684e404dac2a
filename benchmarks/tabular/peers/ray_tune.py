"""Ray Tune's OptunaSearch and ASHA with default settings, without its controller.

Tune's callbacks are called in the same order as by its controller.
"""

import math
from collections.abc import Mapping
from typing import Any

from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from ugro.schedulers.base import STOP, Handle

from ..curves import POINTS
from ..plans import space


class RayTune:
    """``Tuner(..., TuneConfig(search_alg=OptunaSearch(...), scheduler=ASHAScheduler(...)))``."""

    def __init__(self, seed: int) -> None:
        of = {"metric": "loss", "mode": "min"}
        self._searcher = OptunaSearch(space=dict(space()), seed=seed, **of)
        self._scheduler = ASHAScheduler(time_attr="training_iteration", max_t=POINTS, **of)

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial."""
        parameters: Mapping[str, Any] = self._searcher.suggest(str(number))
        self._scheduler.on_trial_add(None, Handle(str(number)))
        return parameters

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether ASHA continues the trial; at Tune's ``max_t`` trials end anyway."""
        reported = _result(evaluation, loss)
        decision = self._scheduler.on_trial_result(None, Handle(str(number)), reported)
        self._searcher.on_trial_result(str(number), reported)
        return bool(decision != STOP)

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Pass the last evaluation to the searcher, whether the trial was stopped or complete."""
        self._scheduler.on_trial_remove(None, Handle(str(number)))
        failed = value is not None and math.isnan(value)
        reported = None if failed else _result(evaluation, loss)
        self._searcher.on_trial_complete(str(number), reported, error=failed)


def _result(evaluation: int, loss: float) -> dict[str, Any]:
    return {"training_iteration": evaluation, "loss": loss}
