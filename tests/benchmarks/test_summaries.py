"""Statistics of searches that did not all reach the target."""

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.tabular.outcomes import MethodOutcome
from benchmarks.tabular.reference import Reference
from benchmarks.tabular.summaries import Summary, mean_ratio, quartiles, share_reached_curve

HOURS = st.lists(st.one_of(st.just(math.inf), st.floats(0.1, 13.9)), min_size=1, max_size=30).map(
    numpy.array
)
REFERENCE = Reference(best=2.0, middle=3.0, target=0.1, hours=100.0, full_tokens=1000)


def outcome(*best: tuple[float, float, float]) -> MethodOutcome:
    return MethodOutcome("m", "agreeing", 0, best, 9000, 9, 0.0, 1.0)


def test_the_target_is_reached_when_the_best_is_as_good_with_all_tokens_until_then() -> None:
    reached = outcome((2.0, 4000.0, 0.4), (5.0, 9000.0, 0.1))
    summary = Summary([reached, outcome((3.0, 5000.0, 0.2)), outcome()], [REFERENCE] * 3)
    assert summary.hours.tolist() == [5.0, math.inf, math.inf]
    assert summary.full_trials.tolist() == [9.0, math.inf, math.inf]
    assert summary.share_reached == pytest.approx(1 / 3)
    assert summary.speedups.tolist() == [20.0, 0.0, 0.0]
    assert summary.final_regrets.tolist() == [0.1, 0.2, math.inf]


def test_each_landscape_has_a_target_of_its_own() -> None:
    hard = Reference(best=2.0, middle=3.0, target=0.0, hours=80.0, full_tokens=1000)
    both = [outcome((2.0, 4000.0, 0.05))] * 2
    assert Summary(both, [REFERENCE, hard]).hours.tolist() == [2.0, math.inf]


def test_near_the_optimum_is_a_loss_one_percent_above_the_best() -> None:
    near = outcome((2.0, 4000.0, 0.021), (5.0, 9000.0, 0.0199))
    assert Summary([near], [REFERENCE]).near_optimum_hours.tolist() == [5.0]


def test_quartiles_are_observed_numbers_and_infinite_where_too_few_arrived() -> None:
    assert quartiles(numpy.array([4.0, 1.0, 3.0, 2.0])).tolist() == [1.0, 2.0, 3.0]
    assert quartiles(numpy.array([4.0, math.inf, math.inf, 2.0])).tolist() == [2.0, 4.0, math.inf]


@settings(deadline=None)
@given(HOURS)
def test_the_curve_rises_to_the_share_that_arrived(hours: numpy.ndarray) -> None:
    at, shares = share_reached_curve(hours)
    assert (at[0], at[-1], shares[0]) == (0.0, 14.0, 0.0)
    assert shares[-1] == pytest.approx(numpy.isfinite(hours).mean())
    for hour, share in zip(at, shares, strict=True):
        assert share == pytest.approx((hours <= hour).mean())


@settings(deadline=None, max_examples=20)
@given(HOURS)
def test_a_method_takes_as_long_as_itself(hours: numpy.ndarray) -> None:
    ratio = mean_ratio(hours, hours)
    interval = [1.0, 1.0] if len(hours) > 1 else [math.nan, math.nan]
    assert [ratio.value, ratio.low, ratio.high] == pytest.approx([1.0, *interval], nan_ok=True)


def test_a_ratio_is_of_means_restricted_to_the_horizon_and_paired() -> None:
    slow, quick = numpy.array([math.inf, 8.0, 10.0, 4.0]), numpy.array([7.0, 4.0, 5.0, 2.0])
    ratio = mean_ratio(slow, quick)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 2.0, 2.0))
    ratio = mean_ratio(slow[[1, 0, 3, 2]], quick)
    assert ratio.value == pytest.approx(2.0)
    assert ratio.low < 1.9 < 2.1 < ratio.high
