"""Ticks, windows and key axes: where a number lies, and how it is written."""

import numpy
import pandas
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from ugro.analysis.figures.drawing import labels, ticks
from ugro.analysis.figures.drawing.key_axis import key_axis
from ugro.analysis.figures.drawing.overview_style import plain
from ugro.analysis.figures.drawing.theme import escaped
from ugro.analysis.figures.drawing.window import window
from ugro.events.outcome import Outcome

from ...studies import in_memory
from .studies import RANK, RATE, add, mixed, view


def test_a_window_shows_all_values_and_a_little_more() -> None:
    found = window([1.0, 2.0], minimised=True)
    assert (found.low, found.high) == pytest.approx((0.94, 2.06))
    assert (found.log, found.beyond) == (False, 0)


def test_a_window_cuts_off_what_is_far_worse_and_never_the_best() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 20.0]  # quartiles 2.25 and 4.75: up to 4.75 + 3 * 2.5
    assert window(values, minimised=True).high == pytest.approx(12.25 + 0.06 * 11.25)
    assert window(values, minimised=True).beyond == 1
    assert window(values, minimised=False).beyond == 0
    assert window(values, minimised=True, keep=[20.0]).beyond == 0


def test_values_over_decades_are_shown_by_their_logarithm() -> None:
    assert window([1.0, 10.0, 100.0, 1000.0], minimised=True).log
    assert not window([0.0, 10.0, 100.0, 1000.0], minimised=True).log
    assert window([1.0, 100.0], minimised=True).unit([10.0]) == pytest.approx([0.5])


@pytest.mark.parametrize("values", [[], [2.5, 2.5], [0.0], [float("nan")], [1e-100, 1e100]])
def test_a_window_is_never_empty(values: list[float]) -> None:
    found = window(values, minimised=True)
    assert found.low < found.high


def test_choices_that_are_numbers_are_drawn_in_their_order() -> None:
    axis = key_axis(view(mixed()), RANK)
    assert axis.choices == (4, 8, 16)
    assert axis.ordered
    assert axis.at(pandas.Series([16, 4, None])).tolist()[:2] == [2.0, 0.0]
    assert axis.ticks() == ([0.0, 1.0, 2.0], ["4", "8", "16"])


def test_a_log_space_is_laid_out_by_the_logarithm() -> None:
    axis = key_axis(view(mixed()), RATE)
    assert axis.log
    assert axis.unit(numpy.array([1e-4])) == pytest.approx([0.5])
    assert axis.ticks()[1] == ["1e-5", "3e-5", "1e-4", "3e-4", "1e-3"]


def test_a_key_that_was_not_searched_is_nowhere_and_null_is_a_choice() -> None:
    study = in_memory(objectives=["eval_loss"])
    over = {"key": CategoricalDistribution((None, "a"))}
    add(study, Outcome.COMPLETE, 1.0, space=over, given={"key": None})
    add(study, Outcome.COMPLETE, 1.0, space={"n": IntDistribution(1, 8, log=True)})
    found = view(study, ())
    assert numpy.isnan(key_axis(found, "n").at(found.tables.trials["n"])[0])
    assert key_axis(found, "key").at(found.tables.trials["key"])[0] == 0
    assert key_axis(found, "n").ticks()[1] == ["1", "2", "4", "8"]


def test_numbers_are_written_as_configurations_have_them() -> None:
    told = [ticks.short(one) for one in (2e-4, 0.05, 64.0, 1e6, 0.0)]
    assert told == ["2e-4", "0.05", "64", "1e6", "0"]
    assert ticks.short(0.005, log=True) == "5e-3"
    assert [labels.amount(one) for one in (950, 83_333, 1_500_000)] == ["950", "83.3k", "1.5M"]


def test_lists_of_modules_keep_what_tells_them_apart() -> None:
    assert labels.choices(["[q_proj,v_proj]", "all-linear", None, True]) == [
        "q, v", "all-linear", "null", "true",
    ]  # fmt: skip
    assert labels.choices(["[model.layers.0.q_proj]", "[model.layers.1.q_proj]"]) == ["0.q", "1.q"]
    same = labels.choices(["x" * 90, "x" * 90])
    assert len(set(same)) == 2
    assert max(map(len, same)) < 40


def test_a_dollar_is_no_formula_and_a_line_break_no_line_break() -> None:
    assert plain("a$b\nc") == r"a\$b c"  # in matplotlib
    assert escaped("a$b\n<c>") == "a&#36;b &lt;c&gt;"  # in plotly


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (2.47, 2.61, [2.475, 2.5, 2.525, 2.55, 2.575, 2.6]),
        (-3.0, 4.0, [-2, 0, 2, 4]),
        (1e99, 9e99, [2e99, 4e99, 6e99, 8e99]),
    ],
)
def test_ticks_are_round_numbers_in_equal_steps(
    low: float, high: float, expected: list[float]
) -> None:
    assert ticks.linear(low, high) == pytest.approx(expected)


def test_ticks_of_whole_numbers_are_whole() -> None:
    assert ticks.linear(3.0, 5.0, integral=True) == [3, 4, 5]
    assert ticks.linear(0.0, 12.0, integral=True) == [0, 5, 10]
