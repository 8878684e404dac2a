"""Positions on linear and logarithmic scales."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ugro.space.scale import position, value_at


@settings(deadline=None)
@given(
    low=st.floats(1e-6, 100),
    times=st.floats(1.01, 1e6),
    at=st.floats(0, 1),
    log=st.booleans(),
)
def test_the_value_at_a_position_is_at_that_position(
    low: float, times: float, at: float, log: bool
) -> None:
    value = value_at(at, low, low * times, log)
    assert position(value, low, low * times, log) == pytest.approx(at, abs=1e-6)


def test_equal_steps_are_those_of_numpy() -> None:
    steps = [value_at(index / 4, 1e-5, 1e-3, log=True) for index in range(5)]
    assert steps == pytest.approx(numpy.geomspace(1e-5, 1e-3, 5))
    steps = [value_at(index / 4, -2.0, 3.0, log=False) for index in range(5)]
    assert steps == pytest.approx(numpy.linspace(-2.0, 3.0, 5))


def test_the_only_value_of_a_range_is_at_its_lower_end() -> None:
    assert position(8, 8, 8, log=True) == 0
