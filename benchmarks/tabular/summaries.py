"""Statistics of outcomes, of which some have not reached the target by the horizon."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy
from numpy.typing import NDArray
from scipy import stats

from .budget import HORIZON_HOURS
from .outcomes import MethodOutcome
from .reference import Reference

RESAMPLES = 2000
Numbers = NDArray[numpy.float64]


@dataclass(frozen=True)
class Ratio:
    """A ratio of means with its 95% interval, not a number for a single run."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Outcomes of a method on a problem with the references of their landscapes, by index."""

    outcomes: Sequence[MethodOutcome]
    references: Sequence[Reference]

    @cached_property
    def hours(self) -> Numbers:
        """Hours until the target of each run; infinity if not by the horizon, [runs]."""
        return numpy.array([hours for hours, _ in self._until_target()])

    @cached_property
    def full_trials(self) -> Numbers:
        """Tokens of all trials until the target, in full trials, [runs]."""
        tokens = numpy.array([tokens for _, tokens in self._until_target()])
        return tokens / numpy.array([reference.full_tokens for reference in self.references])

    @cached_property
    def near_optimum_hours(self) -> Numbers:
        """Hours until the loss is within 1% of the best configuration, [runs]."""
        return numpy.array(
            [
                o.until(r.near_optimum)[0]
                for o, r in zip(self.outcomes, self.references, strict=True)
            ]
        )

    @cached_property
    def speedups(self) -> Numbers:
        """Speed-up over the sequential trials; 0 if the target was not reached, [runs]."""
        return numpy.array([reference.hours for reference in self.references]) / self.hours

    @cached_property
    def final_regrets(self) -> Numbers:
        """Regret at the horizon, [runs]."""
        return numpy.array([outcome.final_regret for outcome in self.outcomes])

    @property
    def share_reached(self) -> float:
        """Share of the runs that reached the target by the horizon."""
        return float(numpy.isfinite(self.hours).mean())

    def _until_target(self) -> Sequence[tuple[float, float]]:
        pairs = zip(self.outcomes, self.references, strict=True)
        return [outcome.until(reference.target) for outcome, reference in pairs]


def quartiles(numbers: Numbers) -> Numbers:
    """Return the quartiles, each an observed number, as some may be infinite, [3]."""
    return numpy.quantile(numbers, (0.25, 0.5, 0.75), method="inverted_cdf")


def share_reached_curve(hours: Numbers) -> tuple[Numbers, Numbers]:
    """Return hours and the share of runs that have reached the target by then (Kaplan-Meier)."""
    never = ~numpy.isfinite(hours)
    censored = stats.CensoredData.right_censored(numpy.where(never, HORIZON_HOURS, hours), never)
    estimated = stats.ecdf(censored).cdf
    at = numpy.concatenate([[0.0], estimated.quantiles, [HORIZON_HOURS]])
    shares = [[0.0], estimated.probabilities, estimated.probabilities[-1:]]
    return at, numpy.concatenate(shares)


def mean_ratio(hours: Numbers, other: Numbers) -> Ratio:
    """Return the ratio of two methods' mean hours until the horizon, paired by run.

    Hours beyond the horizon count as the horizon (restricted means). The interval is by bootstrap.

    Args:
        hours: hours of the first method, [runs]
        other: hours of the second method in the same runs, [runs]
    """
    pair = [numpy.minimum(each, HORIZON_HOURS) for each in (hours, other)]

    def ratio(first: Numbers, second: Numbers, axis: int = -1) -> Numbers:
        return numpy.asarray(first.mean(axis=axis) / second.mean(axis=axis))

    if len(hours) < 2:
        return Ratio(float(ratio(*pair)), numpy.nan, numpy.nan)
    found = stats.bootstrap(
        pair,
        ratio,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=numpy.random.default_rng(0),
    )
    interval = found.confidence_interval
    return Ratio(float(ratio(*pair)), float(interval.low), float(interval.high))
