"""What early ranks are worth."""

import math
from pathlib import Path

import numpy
import pandas
import pytest

from benchmarks.tabular.curve_statistics import CurveStatistics, mean, statistics
from benchmarks.tabular.families import Family
from benchmarks.tabular.markdown import markdown_table
from benchmarks.tabular.problems import TABLES, problem
from benchmarks.tabular.table import KEYS, Table


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
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_runs_of_fewer_evaluations_are_interpolated_and_ended_ones_have_no_loss(
    tmp_path: Path,
) -> None:
    plans = {0: range(0, 13), 1: (0, 3, 6, 9, 12), 2: range(0, 6)}  # the last one ended at step 5
    key = dict.fromkeys(KEYS, 1.0) | {"lora.target_modules": "all-linear"}
    rows = [
        {"configuration": number, "seed": 42, **key, "step": step, "total_steps": 12}
        | {"eval_loss": 5.0 - step / 10, "cpu_seconds": float(step), "total_tokens": 120}
        for number, steps in plans.items()
        for step in steps
    ]
    pandas.DataFrame(rows).to_parquet(tmp_path / "table.parquet")
    table = Table("made", tmp_path / "table.parquet")
    line = 5.0 - numpy.arange(13) / 10
    assert table.losses[:2] == pytest.approx(numpy.array([line, line]))
    assert table.losses[2, :6] == pytest.approx(line[:6])
    assert numpy.isnan(table.losses[2, 6:]).all()
    assert list(table.whole.index) == [0, 1]


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
