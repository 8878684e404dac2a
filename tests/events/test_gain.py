import pytest

from ugro.events.gain import gain_over


def test_a_smaller_value_is_a_gain_where_the_objective_is_minimised() -> None:
    assert gain_over(4.0, 3.0) == (1.0, 0.25)
    assert gain_over(4.0, 3.0, minimised=False) == (-1.0, -0.25)


def test_a_gain_is_relative_to_the_references_magnitude() -> None:
    assert gain_over(-2.0, -3.0).relative == pytest.approx(0.5)
    assert gain_over(0.0, -3.0) == (3.0, None)
