import pytest

from ugro.analysis.figures.progression import draw, prepare
from ugro.analysis.figures.study_view import Kind, NoDataError
from ugro.events.outcome import Outcome

from ...studies import in_memory
from .studies import add, at, mixed, view


def test_the_finding_states_the_gain() -> None:
    assert prepare(view(mixed())).finding == (
        "Best of 6 trials: evaluation loss 3, 25% below the baseline"
    )
    assert prepare(view(mixed("maximize"))).finding == (
        "Best of 6 trials: evaluation loss 4, no better than the baseline"
    )


def test_each_outcome_has_its_mark_at_its_value() -> None:
    data = prepare(view(mixed()))
    assert at(data.points, Kind.COMPLETE.value) == [(0.0, 4.0), (2.0, 3.0)]
    assert at(data.points, Kind.STOPPED.value) == [(1.0, 5.0)]
    assert at(data.points, Kind.INFEASIBLE.value) == [(4.0, 3.5)]
    assert at(data.points, Kind.RUNNING.value) == [(5.0, 4.2)]
    assert at(data.points, "best") == [(2.0, 3.0)]
    assert at(data.points, "baseline") == [(0.0, 4.0)]
    assert data.failed == (3,)  # no value


def test_the_best_so_far_is_a_staircase_over_complete_trials() -> None:
    assert prepare(view(mixed())).best_so_far == ((0, 4.0), (2, 3.0), (5, 3.0))


def test_a_baseline_that_is_the_best_is_marked_once() -> None:
    points = prepare(view(mixed("maximize"))).points
    assert at(points, "best: the baseline") == [(0.0, 4.0)]
    assert at(points, "baseline") == []


def test_the_drawing_has_the_data() -> None:
    traces = {trace.name: trace for trace in draw(prepare(view(mixed()))).figure.data}
    assert (list(traces["best so far"].x), list(traces["best so far"].y)) == ([0, 2, 5], [4, 3, 3])
    assert list(traces["stopped or paused"].customdata) == [1]
    assert list(traces["failed, no value"].x) == [3]


def test_trials_without_any_value_have_no_progression() -> None:
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.FAILED)
    with pytest.raises(NoDataError, match="no trial has come to a value"):
        prepare(view(study))
