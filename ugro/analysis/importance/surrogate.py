"""How much of the objective do the searched keys explain? A forest, asked about unseen trials."""

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

TREES = 64


@dataclass(frozen=True)
class Surrogate:
    """What a random forest says of trials that it was not grown on.

    Attributes:
        predicted: a value a trial, by the trees that have not seen it
        explained: the share of the variance; 0 where it predicts no better than the mean
    """

    predicted: NDArray[numpy.float64]
    explained: float


def surrogate(at: NDArray[numpy.float64], values: NDArray[numpy.float64], seed: int) -> Surrogate:
    """Grow the forest.

    Args:
        at: a row a trial, a column a key
        values: one a trial
        seed: of the forest
    """
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(TREES, oob_score=True, random_state=seed).fit(at, values)
    return Surrogate(forest.oob_prediction_, max(0.0, float(forest.oob_score_)))
