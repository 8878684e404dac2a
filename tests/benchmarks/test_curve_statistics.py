"""What early ranks are worth."""

import math

import numpy
import pytest

from benchmarks.tabular.curve_statistics import CurveStatistics, mean, statistics, to_markdown
from benchmarks.tabular.families import Family
from benchmarks.tabular.problems import TABLES, problem


def curve(quarter: float, half: float, last: float) -> list[float]:
    """Return losses at step 0 and at each quarter of the run."""
    return [10.0, quarter, half, last, last]


def test_the_figures_of_eight_curves_are_those_worked_out_by_hand() -> None:
    losses = [
        curve(8.0, 7.0, 1.0),  # the best, behind the median (6.25) at a quarter
        curve(9.95, 7.5, 2.0),  # the second, behind as well, with 0.6% of its gain
        curve(5.0, 4.8, 4.0),
        curve(5.5, 5.4, 5.0),
        curve(6.0, 5.9, 5.5),
        curve(6.5, 6.3, 6.0),
        curve(7.0, 6.8, 6.5),
        curve(7.5, 7.3, 7.2),
        curve(9.0, 8.0, 50.0),  # exploded
        curve(9.0, math.nan, math.nan),
    ]
    found = statistics(numpy.array(losses), noise=0.17)
    # At a quarter, of 28 pairs, the best and the second are each behind all six others.
    assert found.quarter == pytest.approx((28 - 2 * (6 + 6)) / 28)
    # At half, the best is behind five, the second behind all six.
    assert found.half == pytest.approx((28 - 2 * (5 + 6)) / 28)
    assert found.best_quarter == 1.0
    assert found.crossing == 1.0
    assert found.slow == 0.5
    assert found.diverged == pytest.approx(0.2)
    assert found.noise == pytest.approx(0.17 / (5.25 - 1.0))


def test_a_run_is_judged_by_its_lowest_loss_after_step_0() -> None:
    steady = ([3.0, loss, loss, loss, loss] for loss in numpy.linspace(2.1, 2.8, 8))
    found = statistics(numpy.array([[3.0, 2.0, 1.0, 2.5, 2.9], *steady]), noise=0.0)
    assert found.half == found.quarter == 1.0
    assert found.diverged == 0.0


def test_a_mean_is_of_each_figure() -> None:
    one, other = (CurveStatistics(*(n + k for k in range(7))) for n in (0.0, 1.0))
    assert mean([one, other]) == CurveStatistics(*(k + 0.5 for k in range(7)))


def test_markdown_has_a_line_for_the_head_and_each_row() -> None:
    assert to_markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_a_problem_of_enough_real_runs(name: str) -> None:
    table = problem(name)
    assert table is TABLES[name]
    assert len(table.losses) >= 128
    assert table.repeated >= 12
    assert table.losses.shape[1] == 13
    assert (table.noise[1:] > 0).all()


def test_an_unknown_problem_is_named_with_those_that_there_are() -> None:
    assert problem("agreeing:3") == Family("agreeing", 3)
    with pytest.raises(ValueError, match=r"'recorded_other' given, allowed: recorded_pydocs_gpu, "):
        problem("recorded_other")
