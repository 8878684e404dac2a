import math

import pytest

from ugro.analysis.confirmation.difference import difference, spread

NAN = math.nan


def test_the_spread_is_the_sample_standard_deviation() -> None:
    assert spread([1.0, 2.0, 3.0]) == 1.0  # (1 + 0 + 1) / 2
    assert spread([2.0, 4.0]) == pytest.approx(math.sqrt(2))
    assert math.isnan(spread([2.0]))


def test_what_a_seed_does_to_both_falls_out_of_the_difference() -> None:
    # Differences 0.1, 0.2, 0.3: mean 0.2, deviation 0.1, standard error 0.1 / sqrt(3) = 0.05774.
    # Student's t with 2 degrees of freedom: 4.30265; half of the interval 0.24842.
    found = difference([1.0, 5.0, 9.0], [1.1, 5.2, 9.3])
    assert found is not None
    assert found.seeds == 3
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((-0.04842, 0.44842), abs=1e-5)
    assert not found.is_better
    assert not found.is_worse


def test_two_seeds_may_suffice_where_they_agree() -> None:
    # Differences 0.20 and 0.21: standard error 0.005, t with 1 degree of freedom 12.7062.
    found = difference([1.0, 2.0], [1.2, 2.21])
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.205 - 0.063531, 0.205 + 0.063531), abs=1e-6)
    assert found.is_better


def test_larger_values_are_better_where_they_are_maximised() -> None:
    assert difference([1.0, 2.0], [1.2, 2.2], maximised=True).is_worse  # type: ignore[union-attr]
    assert difference([1.0, 2.0], [1.2, 2.2], maximised=False).is_better  # type: ignore[union-attr]


def test_seeds_without_a_value_on_either_side_are_left_out() -> None:
    found = difference([1.0, NAN, 3.0, 4.0], [2.0, 9.0, NAN, 5.0])
    assert found is not None
    assert (found.seeds, found.mean) == (2, 1.0)
    assert difference([1.0, NAN], [2.0, 3.0]) is None


def test_the_same_values_are_no_difference() -> None:
    found = difference([1.0, 2.0], [1.0, 2.0])
    assert found is not None
    assert not found.is_better
    assert not found.is_worse
