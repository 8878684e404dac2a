"""Configurations as points, and back."""

import math
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution

from ugro.sampling.unit_cube import UnitCube
from ugro.space.prior import beliefs_of

from ..schedulers.freeze_thaw.curves import SPACE

CONFIGURATIONS = st.fixed_dictionaries(
    {
        "training.learning_rate": st.floats(1e-5, 1e-3),
        "lora.r": st.sampled_from([8, 16, 32, 64, 128]),
        "lora.target_modules": st.sampled_from(["all-linear", "[q_proj]", "[v_proj]"]),
        "lora.dropout": st.sampled_from([0.0, 0.05, 0.1, 0.15, 0.2]),
        "training.batch_size": st.integers(4, 32),
    }
)


@settings(deadline=None)
@given(CONFIGURATIONS)
def test_a_point_is_in_the_cube_and_leads_back_to_its_configuration(given: dict[str, Any]) -> None:
    cube = UnitCube(SPACE)
    point = cube.point(given)
    assert ((point >= 0) & (point <= 1)).all()
    assert cube.parameters(point) == pytest.approx(given)


def test_coordinates_follow_the_scale_of_the_key() -> None:
    cube = UnitCube(SPACE)
    given = {"training.learning_rate": 1e-4, "lora.r": 32, "lora.dropout": 0.05}
    point = cube.point({**given, "lora.target_modules": "[v_proj]"})
    assert point[:4] == pytest.approx([0.5, 0.5, 1.0, 0.25])
    assert math.isnan(point[4])


def test_names_are_equal_or_different_and_a_missing_key_is_like_another_name() -> None:
    cube = UnitCube({key: SPACE[key] for key in ("lora.target_modules", "lora.dropout")})
    rows = [
        cube.point({"lora.target_modules": "all-linear", "lora.dropout": 0.0}),
        cube.point({"lora.target_modules": "[q_proj]", "lora.dropout": 0.1}),
        cube.point({"lora.target_modules": "[v_proj]"}),
    ]
    of_names, of_dropout = cube.squared_distances(numpy.array(rows), numpy.array(rows))
    assert of_names.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert of_dropout == pytest.approx(numpy.array([[0, 0.25, 1], [0.25, 0, 1], [1, 1, 0]]))


@settings(deadline=None)
@given(seed=st.integers(0, 1000), width=st.floats(0.01, 0.5))
def test_random_and_neighbouring_points_are_configurations_of_the_space(
    seed: int, width: float
) -> None:
    cube, generator = UnitCube(SPACE), numpy.random.default_rng(seed)
    points = cube.random(5, generator)
    near = cube.neighbours(points[0], 5, width, generator)
    for point in [*points, *near]:
        for key, value in cube.parameters(point).items():
            over = SPACE[key]
            assert over._contains(over.to_internal_repr(value)), (key, value)
    assert ((near != points[0]).sum(axis=1) <= 4).all()


def test_a_neighbour_of_a_level_is_exactly_a_level() -> None:
    """So a tried configuration is recognised: in floats 1 - 1/3 is not 2/3."""
    cube = UnitCube({"lora.r": CategoricalDistribution((4, 8, 16, 32))})
    levels = {float(cube.point({"lora.r": rank})[0]) for rank in (4, 8, 16, 32)}
    for rank in (4, 8, 16, 32):
        near = cube.neighbours(cube.point({"lora.r": rank}), 20, 0.1, numpy.random.default_rng(0))
        assert set(near[:, 0].tolist()) <= levels


def test_a_continuous_key_is_drawn_evenly_and_levels_are_equally_frequent() -> None:
    cube = UnitCube({**SPACE, "x": FloatDistribution(0.0, 1.0)})
    points = cube.random(5000, numpy.random.default_rng(0))
    ranks, counts = numpy.unique(points[:, 1], return_counts=True)
    assert ranks == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert counts / 5000 == pytest.approx(numpy.full(5, 0.2), abs=0.03)
    assert numpy.quantile(points[:, 5], [0.25, 0.5, 0.75]) == pytest.approx(
        [0.25, 0.5, 0.75], abs=0.03
    )


def test_the_prior_of_a_point_is_that_of_its_configuration() -> None:
    """Numeric choices are sorted in the cube, whatever their order in the space."""
    over = {
        "lora.r": CategoricalDistribution((64, 8, 16)),
        "modules": CategoricalDistribution(("q", "all")),
        "rate": FloatDistribution(1e-5, 1e-3, log=True),
        "free": FloatDistribution(0.0, 1.0),
    }
    prior = beliefs_of(
        {
            "lora.r": {"weights": {64: 4, 8: 2}},
            "modules": {"weights": {"all": 3}},
            "rate": {"near": 1e-4, "factor": 10},
        },
        over,
    )
    cube = UnitCube(over, prior)
    one = cube.point({"lora.r": 64, "modules": "all", "rate": 1e-4, "free": 0.3})
    other = cube.point({"lora.r": 16, "modules": "q", "rate": 1e-5, "free": 0.9})
    without = cube.point({"modules": "all", "rate": 1e-4, "free": 0.3})  # no rank: no belief
    found = cube.log_prior(numpy.array([one, other, without]))
    assert found[0] - found[1] == pytest.approx(math.log(4) + math.log(3) + 2**2 / 8)
    assert found[0] - found[2] == pytest.approx(math.log(3 * 4 / 7))
    assert (UnitCube(over).log_prior(numpy.array([one, other])) == 0).all()
