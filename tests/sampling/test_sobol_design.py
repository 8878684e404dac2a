"""The initial design."""

import math

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from ugro.sampling.sobol_design import SobolDesign
from ugro.space.prior import beliefs_of

SPACE: dict[str, BaseDistribution] = {
    "choice": CategoricalDistribution([8, 16, 32]),
    "float": FloatDistribution(0.0, 0.2),
    "log": FloatDistribution(1e-5, 1e-3, log=True),
    "stepped": FloatDistribution(0.0, 0.3, step=0.1),
    "int": IntDistribution(4, 64, step=4),
    "log_int": IntDistribution(1, 128, log=True),
}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@given(st.integers(0, 2**31 - 1))
@settings(deadline=None, max_examples=20)
def test_the_points_are_those_of_optunas_qmc_sampler(seed: int) -> None:
    sampler = optuna.samplers.QMCSampler(scramble=True, seed=seed)
    study = optuna.create_study(sampler=sampler)
    any_point = {key: over.low for key, over in SPACE.items() if hasattr(over, "low")}
    known = create_trial(
        state=TrialState.PRUNED, params={**any_point, "choice": 8}, distributions=SPACE
    )
    study.add_trial(known)  # from which QMCSampler learns the space
    design = SobolDesign(SPACE, seed)
    for _ in range(9):
        assert design.next() == pytest.approx(study.ask(SPACE).params)


@given(st.floats(-50, 50), st.floats(0.01, 100), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_values_are_in_the_range(low: float, width: float, seed: int) -> None:
    over = FloatDistribution(low, low + width)
    design = SobolDesign({"key": over}, seed)
    assert all(over._contains(design.next()["key"]) for _ in range(5))


def test_eight_points_have_one_value_in_each_eighth_of_every_key() -> None:
    design = SobolDesign({"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 8)}, 3)
    points = [design.next() for _ in range(8)]
    assert sorted(math.floor(8 * point["a"]) for point in points) == list(range(8))
    assert sorted(math.floor(point["b"]) for point in points) == list(range(8))


def test_a_resumed_study_continues_the_sequence() -> None:
    whole, resumed = SobolDesign(SPACE, 1), SobolDesign(SPACE, 1, skip=3)
    points = [whole.next() for _ in range(6)]
    assert [resumed.next() for _ in range(3)] == points[3:]


def test_two_of_three_points_follow_the_prior_and_the_third_ignores_it() -> None:
    over = {"a": FloatDistribution(0.0, 1.0), "b": FloatDistribution(0.0, 1.0)}
    prior = beliefs_of({"a": {"near": 0.9, "deviation": 0.01}}, over)
    design, without = SobolDesign(over, 0, prior=prior), SobolDesign(over, 0)
    for number in range(1, 13):
        point, free = design.next(), without.next()
        assert point["b"] == free["b"]
        if number % 3:
            assert abs(point["a"] - 0.9) < 0.05
        else:
            assert point == free
    resumed = SobolDesign(over, 0, skip=12, prior=prior)
    assert resumed.next() == design.next()
