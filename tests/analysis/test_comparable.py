import pytest

from ugro.analysis.comparable import comparable, ranked
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study

from ..studies import in_memory, start


def trial(study: Study, how: Outcome, curve: dict[int, float], value: float | None = None) -> None:
    begun = start(study, {})
    for tokens, loss in curve.items():
        study.report(begun, tokens, loss)
    study.tell(begun, how, None if value is None else TrialResult((value,), {"eval_loss": value}))


def test_where_all_came_to_their_end_final_values_are_compared() -> None:
    study = in_memory(objectives=["eval_loss"])
    for loss in (3.0, 2.0):
        trial(study, Outcome.COMPLETE, {100: 9.0}, loss)
    trial(study, Outcome.FAILED, {100: 1.0})
    found = comparable(tables_of(study))
    assert found.values.to_dict() == {1: 2.0, 0: 3.0}
    assert found.of == "eval_loss of the 2 complete trials"


@pytest.mark.parametrize("how", [Outcome.RUNG, Outcome.PAUSED])
def test_where_many_were_stopped_values_at_equal_tokens_are_compared(how: Outcome) -> None:
    study = in_memory(objectives=["eval_loss"])
    trial(study, Outcome.COMPLETE, {0: 4.0, 150: 3.0, 300: 2.0}, 2.0)
    for loss in (3.4, 3.5, 3.6):
        trial(study, how, {0: 4.0, 200: loss})
    trial(study, how, {0: 4.0, 100: 3.9})  # one in five is left out
    found = comparable(tables_of(study))
    # The first has 3.0 at 150 tokens and 2.0 at 300: at 200, two thirds of the way are to go.
    assert found.values.to_dict() == pytest.approx({0: 3 - 1 / 3, 1: 3.4, 2: 3.5, 3: 3.6})
    assert found.of == "eval_loss of 4 trials at 200 steps"


def test_what_diverged_is_bad_and_no_more() -> None:
    study = in_memory()
    for value in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1e9):
        trial(study, Outcome.COMPLETE, {}, value)
    # A quarter lies below 2.5, a quarter above 5.5: the fence is at 5.5 + 3 * 3.
    assert comparable(tables_of(study)).values[6] == 14.5


def test_where_more_is_better_values_are_turned_round() -> None:
    study = in_memory("maximize", objectives=["accuracy"])
    for value in (0.25, 0.75):
        trial(study, Outcome.COMPLETE, {}, value)
    assert comparable(tables_of(study)).values.to_dict() == {1: -0.75, 0: -0.25}


def test_ranks_put_the_stopped_behind_the_complete_the_farthest_first() -> None:
    study = in_memory(objectives=["eval_loss"])
    trial(study, Outcome.RUNG, {100: 1.0})
    trial(study, Outcome.COMPLETE, {100: 3.0, 400: 2.5}, 2.5)
    trial(study, Outcome.DIVERGED, {})
    trial(study, Outcome.RUNG, {100: 3.0, 200: 2.0})
    trial(study, Outcome.RUNG, {100: 3.0, 200: 1.9})
    trial(study, Outcome.COMPLETE, {100: 3.0, 400: 2.0}, 2.0)
    trial(study, Outcome.TIMED_OUT, {100: 3.0})  # says nothing of how good it is
    found = ranked(tables_of(study))
    assert list(found.values.index) == [5, 1, 4, 3, 0, 2]
    assert list(found.values) == [0, 1, 2, 3, 4, 5]
    assert found.of == "eval_loss, 2 complete and 4 stopped trials by rank"


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_without_a_trial_there_is_nothing_to_compare(direction: str) -> None:
    tables = tables_of(in_memory(direction))
    assert comparable(tables).values.empty
    assert ranked(tables).values.empty
