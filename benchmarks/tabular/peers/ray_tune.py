"""Ray Tune's OptunaSearch and ASHA, without its controller.

Tune's callbacks are called in the same order as by its controller.
"""

import math
from collections.abc import Mapping
from typing import Any

from optuna.samplers import TPESampler
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from ugro.schedulers.base import STOP, Handle

from ..curves import POINTS
from ..plans import space
from .losses import Losses


class RayTune:
    """``Tuner(..., TuneConfig(search_alg=OptunaSearch(...), scheduler=ASHAScheduler(...)))``.

    ASHA with its default grace period and reduction factor, which Tune's FAQ explains, and
    ``max_t`` equal to the length of a trial (reference of AsyncHyperBandScheduler). OptunaSearch
    takes Optuna's distributions and any of its samplers: multivariate TPE with the constant liar,
    as Optuna recommends for parallel trials.
    """

    def __init__(self, seed: int) -> None:
        of = {"metric": "loss", "mode": "min"}
        sampler = TPESampler(seed=seed, multivariate=True, constant_liar=True)
        self._searcher = OptunaSearch(space=dict(space()), sampler=sampler, **of)
        self._scheduler = ASHAScheduler(
            time_attr="training_iteration", max_t=POINTS, grace_period=1, reduction_factor=4, **of
        )
        self._losses = Losses()

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial."""
        parameters: Mapping[str, Any] = self._searcher.suggest(str(number))
        self._scheduler.on_trial_add(None, Handle(str(number)))
        return parameters

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether ASHA continues the trial; at Tune's ``max_t`` trials end anyway."""
        reported = _result(evaluation, self._losses.told(loss))
        decision = self._scheduler.on_trial_result(None, Handle(str(number)), reported)
        if decision != STOP:
            self._searcher.on_trial_result(str(number), reported)
        return bool(decision != STOP) and math.isfinite(loss)

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Pass the last evaluation to the searcher, whether the trial was stopped or complete."""
        self._scheduler.on_trial_remove(None, Handle(str(number)))
        reported = _result(evaluation, self._losses.told(loss))
        self._searcher.on_trial_complete(str(number), reported)


def _result(evaluation: int, loss: float) -> dict[str, Any]:
    return {"training_iteration": evaluation, "loss": loss}
