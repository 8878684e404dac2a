"""Initial design: a scrambled Sobol sequence over the search space."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ugro.space.prior import Belief
from ugro.space.scale import value_at

WITHOUT_PRIOR = 3  # one in three points ignores the prior


class SobolDesign:
    """Points of a scrambled Sobol sequence (Owen 1998), one after the other.

    The first points of the sequence fill the space more evenly than random points. Optuna's
    ``QMCSampler`` draws the same points, but learns the space from a first random trial.

    Args:
        distributions: distributions by key, conditional keys included
        seed: seed of the scrambling
        skip: number of points that were used before
        prior: beliefs about good values: two of three points follow them, as they may be wrong
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        seed: int,
        skip: int = 0,
        prior: Mapping[str, Belief] | None = None,
    ) -> None:
        self._distributions = distributions
        self._seed = seed
        self._skip = skip
        self._drawn = skip
        self._prior = prior or {}

    def next(self) -> dict[str, Any]:
        """Return the next point: a value for each key."""
        shares = dict(zip(self._distributions, self._engine.random(1)[0].tolist(), strict=True))
        self._drawn += 1
        if self._drawn % WITHOUT_PRIOR:
            shares |= {key: belief.share(shares[key]) for key, belief in self._prior.items()}
        return {key: _value(over, shares[key]) for key, over in self._distributions.items()}

    @cached_property
    def _engine(self) -> Any:
        from scipy.stats import qmc  # slow to import

        engine = qmc.Sobol(len(self._distributions), seed=self._seed)
        return engine.fast_forward(self._skip) if self._skip else engine


def _value(over: BaseDistribution, share: float) -> Any:
    """Return the value below which the share of a distribution lies.

    Args:
        over: the distribution
        share: in [0, 1)
    """
    match over:
        case CategoricalDistribution(choices=choices):
            return choices[int(share * len(choices))]
        case FloatDistribution(low=low, high=high, step=None, log=log):
            return min(value_at(share, low, high, log), high)
        case FloatDistribution(low=low, high=high, step=float(step)):
            return min(low + _steps(low, high, step, share) * step, high)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return low + _steps(low, high, step, share, log) * step
    raise TypeError(f"{over} is unknown")


def _steps(low: float, high: float, step: float, share: float, log: bool = False) -> int:
    """Return how many steps the value lies above the lowest.

    The range extends half a step beyond both bounds, so that rounding is fair to them.
    """
    value = value_at(share, low - step / 2, high + step / 2, log)
    return min(round((value - low) / step), round((high - low) / step))
