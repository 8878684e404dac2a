"""Paired difference of two configurations trained with the same seeds.

A seed fixes data order and initial adapter of both, so its common effect cancels in the difference
per seed. The mean difference has a Student's t interval (https://doi.org/10.1093/biomet/6.1.1),
which is wide for few seeds: 12.7 standard errors on each side for two seeds, 4.3 for three, 2.8 for
five.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """Improvement over another configuration in the objective's unit; negative if worse.

    Attributes:
        mean: mean over the seeds
        low: lower end of the 95% confidence interval
        high: upper end of the interval
        seeds: number of seeds
    """

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def is_better(self) -> bool:
        """Whether the configuration is significantly better."""
        return self.low > 0

    @property
    def is_worse(self) -> bool:
        """Whether the configuration is significantly worse."""
        return self.high < 0


def difference(
    one: Sequence[float], other: Sequence[float], maximised: bool = False
) -> Difference | None:
    """Compare two configurations; None with fewer than two seeds with both values.

    Args:
        one: values of the first configuration by seed, NaN if missing
        other: values of the second configuration by the same seeds
        maximised: whether larger values are better
    """
    sign = 1.0 if maximised else -1.0
    pairs = zip(one, other, strict=True)
    found = [sign * (a - b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    if len(found) < 2:
        return None
    from scipy.special import stdtrit

    mean = math.fsum(found) / len(found)
    quantile = float(stdtrit(len(found) - 1, (1 + CONFIDENCE) / 2))
    half = quantile * spread(found) / math.sqrt(len(found))
    return Difference(mean, mean - half, mean + half, len(found))


def spread(values: Sequence[float]) -> float:
    """Return the sample standard deviation; NaN with fewer than two values."""
    if len(values) < 2:
        return math.nan
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
