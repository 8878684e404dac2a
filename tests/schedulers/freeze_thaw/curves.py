"""Observations of made-up learning curves."""

import numpy
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ugro.schedulers.base import Array
from ugro.schedulers.freeze_thaw.curve_process import Observations

SPACE: dict[str, BaseDistribution] = {
    "training.learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
    "lora.r": CategoricalDistribution((8, 16, 32, 64, 128)),
    "lora.target_modules": CategoricalDistribution(("all-linear", "[q_proj]", "[v_proj]")),
    "lora.dropout": FloatDistribution(0.0, 0.2, step=0.05),
    "training.batch_size": IntDistribution(4, 32, log=True),
}


def observed(points: Array, progress: Array, values: Array) -> Observations:
    """Observe a curve of each point at the same progress.

    Args:
        points: configurations, [trials, keys]
        progress: shares of the run, [reports]
        values: changes, [trials, reports]
    """
    trials, reports = values.shape
    return Observations(
        numpy.repeat(points, reports, axis=0),
        numpy.repeat(numpy.arange(trials), reports),
        numpy.tile(progress, trials),
        values.ravel(),
    )
