"""Beliefs about good values, against SciPy's distributions."""

import math
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy.stats import truncnorm

from ugro.errors import UserError
from ugro.space.prior import Near, Weights, beliefs_of

RATE = FloatDistribution(1e-5, 1e-2, log=True)


def belief(over: BaseDistribution, **given: Any) -> Near | Weights:
    return beliefs_of({"key": given}, {"key": over})["key"]


@given(st.floats(0, 1), st.floats(0.05, 2), st.floats(0.001, 0.999))
@settings(deadline=None)
def test_a_belief_about_a_number_is_a_truncated_normal_distribution(
    mean: float, deviation: float, share: float
) -> None:
    near = Near(mean, deviation)
    expected = truncnorm(-mean / deviation, (1 - mean) / deviation, mean, deviation)
    assert near.share(share) == pytest.approx(expected.ppf(share), abs=1e-6)
    positions = numpy.array([0.0, share, 1.0])
    assert near.log_density(positions) == pytest.approx(expected.logpdf(positions), abs=1e-6)


def test_a_factor_is_one_deviation_on_the_logarithmic_scale() -> None:
    near = belief(RATE, near=1e-3, factor=10)
    assert isinstance(near, Near)
    assert (near.mean, near.deviation) == pytest.approx((2 / 3, 1 / 3))
    linear = belief(IntDistribution(10, 30), near=15, deviation=5)
    assert isinstance(linear, Near)
    assert (linear.mean, linear.deviation) == pytest.approx((0.25, 0.25))


def test_choices_have_their_weights_and_those_without_count_once() -> None:
    weights = belief(CategoricalDistribution(("a", "b", "c")), weights={"b": 2, "d": 9})
    assert isinstance(weights, Weights)
    assert weights.shares == [0.25, 0.5, 0.25]
    assert [weights.share(share) for share in (0.2, 0.3, 0.7, 0.8)] == pytest.approx(
        [1 / 6, 1 / 2, 1 / 2, 5 / 6]
    )
    assert weights.log_density(["b", "a"]) == pytest.approx([math.log(1.5), math.log(0.75)])


def test_choices_of_numbers_have_weights_by_their_distance() -> None:
    ranks = belief(CategoricalDistribution((8, 16, 32, 64)), near=16, factor=2)
    assert isinstance(ranks, Weights)
    assert numpy.array(ranks.shares) / ranks.shares[1] == pytest.approx(
        numpy.exp([-0.5, 0, -0.5, -2])
    )
    decays = belief(CategoricalDistribution((0.0, 0.1)), near=0.0, deviation=0.1)
    assert isinstance(decays, Weights)
    assert decays.shares[1] / decays.shares[0] == pytest.approx(math.exp(-0.5))


def test_a_belief_about_a_key_that_is_not_searched_has_no_effect() -> None:
    assert beliefs_of({"lora.r": {"near": 8, "factor": 2}}, {"key": RATE}) == {}


@pytest.mark.parametrize(
    ("over", "given", "message"),
    [
        (RATE, {"near": 1.0, "factor": 2}, "prior.key.near: 1.0 given, allowed: between 1e-05"),
        (RATE, {"near": 1e-3, "factor": 1}, "prior.key.factor: 1 given, allowed: above 1"),
        (RATE, {"near": 1e-3, "deviation": 1}, "prior.key.factor: None given, allowed: above 1"),
        (RATE, {"about": 1e-3}, "allowed: near and factor, or near and deviation, or weights"),
        (
            CategoricalDistribution(("a", "b")),
            {"near": 1, "factor": 2},
            "allowed: weights, as not all choices are numbers",
        ),
        (CategoricalDistribution((0.0, 0.1)), {"near": 0.1, "factor": 2}, "allowed: deviation"),
        (CategoricalDistribution(("a", "b")), {"weights": {"a": 0}}, "allowed: numbers above 0"),
        (FloatDistribution(0, 1), {"near": 0.5, "factor": 2}, "prior.key.deviation: None given"),
    ],
)
def test_a_malformed_belief_is_rejected(
    over: BaseDistribution, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as error:
        belief(over, **given)
    assert message in str(error.value)
