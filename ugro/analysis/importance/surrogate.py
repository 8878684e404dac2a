"""Random forest of the objective with out-of-bag predictions."""

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

TREES = 64


@dataclass(frozen=True)
class Surrogate:
    """Out-of-bag results of a random forest.

    Attributes:
        predicted: out-of-bag prediction of each trial
        explained: out-of-bag share of explained variance; 0 if not better than the mean
    """

    predicted: NDArray[numpy.float64]
    explained: float


def surrogate(at: NDArray[numpy.float64], values: NDArray[numpy.float64], seed: int) -> Surrogate:
    """Fit the forest.

    Args:
        at: positions, [trials, keys]
        values: objective values, [trials]
        seed: seed of the forest
    """
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(TREES, oob_score=True, random_state=seed).fit(at, values)
    return Surrogate(forest.oob_prediction_, max(0.0, float(forest.oob_score_)))
