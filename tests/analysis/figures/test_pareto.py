import pandas
import pytest

from ugro.analysis.figures.pareto import DOMINATED, FRONT, Goal, draw, front, prepare
from ugro.analysis.figures.study_view import Kind, NoDataError
from ugro.events.outcome import Outcome
from ugro.study.study import Study

from ...studies import in_memory
from .studies import add, at, mixed, view

NONE = pandas.Series(dtype="float64")


def goal(*values: float, minimised: bool = True) -> Goal:
    return Goal("goal", minimised, pandas.Series(values), NONE)


def test_the_front_is_who_nobody_beats() -> None:
    # (2, 2) is beaten by (1, 2); the two at (1, 2) do not beat each other; (3, 1) is alone there.
    found = front([goal(1, 1, 2, 3), goal(2, 2, 2, 1)])
    assert found.tolist() == [True, True, False, True]


def test_the_front_goes_where_each_goal_is_better() -> None:
    assert front([goal(1, 2), goal(1, 2, minimised=False)]).tolist() == [True, True]
    assert front([goal(1, 2), goal(2, 1, minimised=False)]).tolist() == [True, False]


def test_what_cannot_be_drawn_is_not_on_the_front() -> None:
    assert front([goal(1, float("nan")), goal(1, 0)]).tolist() == [True, False]


def two_objectives() -> Study:
    study = in_memory("minimize", "minimize", objectives=["eval_loss", "latency_ms"])
    add(study, Outcome.COMPLETE, 2.0, 30.0, source="baseline")
    add(study, Outcome.COMPLETE, 1.0, 50.0)
    add(study, Outcome.COMPLETE, 2.5, 40.0)
    measured = {"eval_loss": 0.9, "latency_ms": 60.0}
    add(study, Outcome.INFEASIBLE, 0.9, 60.0, measured=measured)
    return study


def test_front_dominated_and_infeasible_ones_are_told_apart() -> None:
    data = prepare(view(two_objectives()))
    (pair,) = data.pairs
    assert at(pair.points, FRONT) == [(1.0, 50.0), (2.0, 30.0)]
    assert at(pair.points, DOMINATED) == [(2.5, 40.0)]
    assert at(pair.points, Kind.INFEASIBLE.value) == [(0.9, 60.0)]
    assert at(pair.points, "best eval_loss") == [(1.0, 50.0)]
    assert at(pair.points, "baseline") == [(2.0, 30.0)]
    assert data.finding == (
        "2 of 3 complete trials are not dominated: evaluation loss 1 to 2 nats, "
        "latency of a generation 30 to 50 ms"
    )


def test_the_front_is_a_staircase_with_the_numbers_of_its_trials() -> None:
    data = prepare(view(two_objectives()))
    assert data.pairs[0].stairs == ((1.0, 50.0), (2.0, 30.0))
    (panel,) = draw(data)
    stairs = panel.figure.data[0]
    assert (stairs.name, stairs.line.shape, list(stairs.x)) == ("front", "hv", [1, 2])
    (on_front,) = [trace for trace in panel.figure.data if trace.name == FRONT]
    assert list(on_front.text) == ["1", "0"]
    assert panel.figure.layout.xaxis.title.text == ("evaluation loss (nats), lower is better")


def test_three_objectives_have_three_panels() -> None:
    study = in_memory("minimize", "maximize", "minimize", objectives=["a", "b", "c"])
    for value in range(3):
        add(study, Outcome.COMPLETE, value, value, value)
    data = prepare(view(study))
    assert [pair.names for pair in data.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert len(draw(data)) == 3
    assert data.pairs[0].stairs == ()


def test_one_objective_is_drawn_against_what_it_costs() -> None:
    study = in_memory(objectives=["eval_loss"])
    as_cheap_but_worse = (1.008, 40.0)
    given = ((1.0, 100.0), as_cheap_but_worse, (1.005, 40.0), (2.0, 30.0), (2.5, 90.0), (3.0, 95.0))
    for value, seconds in given:
        add(study, Outcome.COMPLETE, value, measured={"train_seconds": seconds})
    data = prepare(view(study))
    (pair,) = data.pairs
    assert at(pair.points, FRONT) == [(30.0, 2.0), (40.0, 1.005), (100.0, 1.0)]
    assert data.finding == "Trial 2 is within 1% of the best with 40% of its training time"


def test_one_objective_where_all_cost_alike_has_none() -> None:
    with pytest.raises(NoDataError, match="one objective"):
        prepare(view(mixed()))
