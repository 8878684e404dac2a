"""Prior beliefs about good configurations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ugro.errors import UserError, fault
from ugro.space.scale import position

Array = NDArray[numpy.float64]
SECTION = "hydra.sweeper.prior"
UNNAMED = 1.0  # weight of a choice that has none


@dataclass(frozen=True)
class Near:
    """A good value of a range: normally distributed, truncated to the range.

    Attributes:
        mean: position in the range, 0 to 1
        deviation: standard deviation of the position
    """

    mean: float
    deviation: float

    def share(self, uniform: float) -> float:
        """Return the position below which this share of the probability lies."""
        low, high = self._tails
        found = self._normal.inv_cdf(low + uniform * (high - low))
        return min(max(found, 0.0), math.nextafter(1.0, 0.0))

    def log_density(self, positions: Array) -> Array:
        """Return the logarithm of the density at positions; 0 if it were uniform."""
        low, high = self._tails
        scaled = (positions - self.mean) / self.deviation
        density: Array = -(scaled**2) / 2 - math.log(self.deviation * math.sqrt(2 * math.pi))
        return density - math.log(high - low)

    @property
    def _normal(self) -> NormalDist:
        return NormalDist(self.mean, self.deviation)

    @property
    def _tails(self) -> tuple[float, float]:
        return self._normal.cdf(0.0), self._normal.cdf(1.0)


@dataclass(frozen=True)
class Weights:
    """Probabilities of choices.

    Attributes:
        choices: the choices
        shares: probability of each
    """

    choices: Sequence[Any]
    shares: Sequence[float]

    def share(self, uniform: float) -> float:
        """Return the middle of the choice below which this share of the probability lies."""
        index = int(numpy.searchsorted(numpy.cumsum(self.shares), uniform, side="right"))
        return (min(index, len(self.choices) - 1) + 0.5) / len(self.choices)

    def log_density(self, choices: Sequence[Any]) -> Array:
        """Return the logarithm of the probability of each choice; 0 if all were equally likely."""
        shares = [self.shares[self.choices.index(choice)] for choice in choices]
        density: Array = numpy.log(numpy.array(shares) * len(self.choices))
        return density


Belief = Near | Weights


def beliefs_of(
    prior: Mapping[str, Mapping[str, Any]], distributions: Mapping[str, BaseDistribution]
) -> dict[str, Belief]:
    """Return the beliefs about the searched keys; those about other keys have no effect.

    Args:
        prior: ``hydra.sweeper.prior``
        distributions: distribution of each searched key

    Raises:
        UserError: a belief is malformed.
    """
    return {
        key: _belief(key, belief, distributions[key])
        for key, belief in prior.items()
        if key in distributions
    }


def _belief(key: str, belief: Mapping[str, Any], over: BaseDistribution) -> Belief:
    where = f"{SECTION}.{key}"
    if isinstance(over, CategoricalDistribution):
        weights = _weights(where, belief, over.choices)
        return Weights(over.choices, [weight / sum(weights) for weight in weights])
    near, factor, deviation = _numbers(where, belief)
    assert isinstance(over, FloatDistribution | IntDistribution)
    if not over.low <= near <= over.high:
        raise UserError(fault(f"{where}.near", near, f"between {over.low:g} and {over.high:g}"))
    if over.low == over.high:
        return Near(0.0, 1.0)
    if over.log:
        if factor is None:
            raise UserError(fault(f"{where}.factor", None, "above 1, as the range is logarithmic"))
        width = math.log(factor) / math.log(over.high / over.low)
    else:
        if deviation is None:
            raise UserError(fault(f"{where}.deviation", None, "above 0, as the range is linear"))
        width = deviation / (over.high - over.low)
    return Near(position(near, over.low, over.high, over.log), width)


def _weights(where: str, belief: Mapping[str, Any], choices: Sequence[Any]) -> list[float]:
    """Return the weight of each choice: as given, or by its distance from a number."""
    if belief.keys() == {"weights"}:
        given = {str(choice): weight for choice, weight in belief["weights"].items()}
        weights = [given.get(str(choice), UNNAMED) for choice in choices]
        if not all(isinstance(weight, int | float) and weight > 0 for weight in weights):
            raise UserError(fault(f"{where}.weights", dict(belief["weights"]), "numbers above 0"))
        return weights
    near, factor, deviation = _numbers(where, belief)
    if not all(isinstance(choice, int | float) for choice in choices):
        raise UserError(fault(where, dict(belief), "weights, as not all choices are numbers"))
    if factor is None:
        assert deviation is not None
        apart = [(choice - near) / deviation for choice in choices]
    else:
        if min(choices) <= 0:
            raise UserError(fault(f"{where}.factor", factor, "deviation, as a choice is 0 or less"))
        apart = [math.log(choice / near) / math.log(factor) for choice in choices]
    return [math.exp(-(distance**2) / 2) for distance in apart]


def _numbers(where: str, belief: Mapping[str, Any]) -> tuple[float, float | None, float | None]:
    """Return the fields of a belief about a number: near, factor, deviation."""
    if belief.keys() not in ({"near", "factor"}, {"near", "deviation"}):
        allowed = "near and factor, or near and deviation, or weights of choices"
        raise UserError(fault(where, dict(belief), allowed))
    near: float = belief["near"]
    factor, deviation = belief.get("factor"), belief.get("deviation")
    for name, value, least in (("factor", factor, 1.0), ("deviation", deviation, 0.0)):
        if value is not None and not value > least:
            raise UserError(fault(f"{where}.{name}", value, f"above {least:g}"))
    if factor is not None and not near > 0:
        raise UserError(fault(f"{where}.near", near, "above 0, as factor is given"))
    return float(near), factor, deviation
