import math

import pytest

from ugro.analysis.figures.study_view import Kind
from ugro.events.outcome import Outcome

from ...studies import in_memory
from .studies import RANK, RATE, UNKNOWN, add, mixed, view


def test_a_complete_trial_has_a_value_any_other_one_what_it_had_reached() -> None:
    shown = view(mixed())
    assert [kind.name for kind in shown.trials["kind"]] == [
        "COMPLETE", "STOPPED", "COMPLETE", "FAILED", "INFEASIBLE", "RUNNING",
    ]  # fmt: skip
    assert shown.trials["value"].dropna().to_dict() == {0: 4.0, 2: 3.0}
    assert shown.trials["reached"].dropna().to_dict() == {1: 5.0, 4: 3.5, 5: 4.2}
    assert (shown.best, shown.baseline) == (2, 0)


def test_the_best_of_a_maximised_study_is_the_largest() -> None:
    assert view(mixed("maximize")).best == 0


@pytest.mark.parametrize("ending", [one for one in Outcome if one is not Outcome.WITHDRAWN])
def test_every_ending_is_drawn_as_something(ending: Outcome) -> None:
    study = in_memory(objectives=["eval_loss"])
    add(study, ending, 1.0)
    assert view(study).trials["kind"].iloc[0] in Kind


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e101])
def test_what_cannot_be_drawn_is_no_value_and_never_the_best(value: float) -> None:
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.COMPLETE, value)
    add(study, Outcome.COMPLETE, 2.0)
    assert view(study).best == 1


def test_keys_come_by_importance_and_where_it_is_unknown_the_learning_rate_first() -> None:
    assert view(mixed()).keys == (RANK, RATE)
    assert view(mixed(), UNKNOWN).keys == (RATE, RANK)


def test_of_several_objectives_what_the_scheduler_compared_is_none() -> None:
    study = in_memory("minimize", "minimize", objectives=["eval_loss", "latency_ms"])
    add(study, Outcome.RUNG, curve=[-0.3])
    assert math.isnan(view(study).trials["reached"].iloc[0])
