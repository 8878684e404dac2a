import math
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tests.studies import ended, in_memory, start
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study, create_or_continue, read
from ugro.study.trial_record import metrics, recorded_outcome, source, state_of, tokens_of

SPACE = {"lora.r": optuna.distributions.CategoricalDistribution((4, 8, 16, 32))}


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture
def stored(storage: str) -> Study:
    return create_or_continue("s", storage, ["eval_loss"], ["minimize"])


@pytest.fixture
def study() -> Study:
    return in_memory()


COMPLETE = (Outcome.COMPLETE, Outcome.PLATEAU)
RESUMABLE = (Outcome.INTERRUPTED, Outcome.PAUSED)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_has_a_state_and_is_recorded(outcome: Outcome, study: Study) -> None:
    ended(study, SPACE, outcome)
    (trial,) = study.record.trials
    assert (trial.state, recorded_outcome(trial)) == (state_of(outcome), outcome)
    assert (trial.state is TrialState.COMPLETE) == (outcome in COMPLETE)
    assert (trial.state is TrialState.FAIL) == (outcome in (Outcome.FAILED, Outcome.WITHDRAWN))
    assert (trial.state is TrialState.WAITING) == (outcome in RESUMABLE)
    assert trial.value == (1.0 if outcome in COMPLETE else None)


def test_a_pruned_trial_keeps_its_intermediate_values_and_the_last_is_its_value(
    stored: Study, storage: str
) -> None:
    trial = start(stored, SPACE)
    stored.report(trial, 1024, 3.5)
    stored.report(trial, 2048, 3.25)
    stored.tell(trial, Outcome.RUNG, TrialResult((3.0,), {"eval_loss": 3.0}))
    (pruned,) = read("s", storage).trials()
    assert (pruned.state, pruned.value) == (TrialState.PRUNED, 3.25)
    assert pruned.intermediate_values == {1024: 3.5, 2048: 3.25}
    assert metrics(pruned) == {"eval_loss": 3.0}


def test_a_diverged_trial_has_no_value_even_if_it_reported_one(study: Study) -> None:
    trial = start(study, SPACE)
    study.report(trial, 1024, math.nan)
    study.tell(trial, Outcome.DIVERGED)
    (pruned,) = study.trials()
    assert (pruned.state, pruned.value) == (TrialState.PRUNED, None)


def test_the_source_of_a_trial_is_recorded(study: Study) -> None:
    start(study, SPACE, "baseline")
    assert [source(trial) for trial in study.trials()] == ["baseline"]


def test_with_several_objectives_the_first_ranks_and_there_is_a_front() -> None:
    study = in_memory("minimize", "maximize", objectives=["eval_loss", "accuracy"])
    for values in (
        (2.0, 0.5),
        (1.0, 0.25),
        (3.0, 0.25),
    ):  # the last one is dominated
        ended(study, SPACE, Outcome.COMPLETE, *values)
    trial = start(study, SPACE)
    study.report(trial, 1024, 0.1)
    study.tell(trial, Outcome.RUNG)
    assert study.objectives == ("eval_loss", "accuracy")
    assert [trial.number for trial in study.front()] == [1, 0]
    best_trial = study.best()
    assert best_trial is not None
    assert best_trial.number == 1
    assert study.trials()[3].intermediate_values == {1024: 0.1}


def test_a_running_trial_has_no_outcome(study: Study) -> None:
    start(study, SPACE)
    (trial,) = study.trials()
    assert recorded_outcome(trial) is None
    assert metrics(trial) == {}
    assert study.finished() == []


def test_metrics_and_errors_are_recorded(stored: Study, storage: str) -> None:
    measured = {"eval_loss": 2.5, "tokens_seen": 4096}
    stored.tell(start(stored, SPACE), Outcome.COMPLETE, TrialResult((2.5,), measured))
    stored.tell(start(stored, SPACE), Outcome.FAILED, error="MemoryError: too large")
    good, bad = read("s", storage).trials()
    assert metrics(good) == measured
    assert metrics(bad) == {}
    assert bad.user_attrs["error"] == "MemoryError: too large"
    assert "error" not in good.user_attrs


def test_finished_trials_exclude_interrupted_paused_and_withdrawn_ones(study: Study) -> None:
    numbers = {outcome: ended(study, SPACE, outcome).number for outcome in Outcome}
    start(study, SPACE)  # runs
    study.record.enqueue_trial({"lora.r": 4})  # waits
    final = [each for each in Outcome if each not in (*RESUMABLE, Outcome.WITHDRAWN)]
    assert [t.number for t in study.finished()] == [numbers[outcome] for outcome in final]
    assert [t.number for t in study.failed()] == [numbers[Outcome.FAILED]]
    assert len(study.trials()) == len(Outcome)  # with the running, without the withdrawn
    assert len(study.every()) == len(Outcome) + 2


@pytest.mark.parametrize(("direction", "best"), [("minimize", 2), ("maximize", 1)])
def test_the_best_trial_follows_the_direction(direction: str, best: int) -> None:
    study = in_memory(direction)
    for objective in (2.0, 3.0, 1.0):
        ended(study, SPACE, Outcome.COMPLETE, objective)
    for outcome in (Outcome.RUNG, Outcome.INFEASIBLE):
        trial = start(study, SPACE)
        study.report(trial, 1024, -9.0 if direction == "minimize" else 9.0)
        study.tell(trial, outcome)
    best_trial = study.best()
    assert best_trial is not None
    assert best_trial.number == best


def test_among_equals_the_first_is_best(study: Study) -> None:
    for _ in range(2):
        ended(study, SPACE)
    best_trial = study.best()
    assert best_trial is not None
    assert best_trial.number == 0


def test_before_a_trial_is_complete_there_is_no_best(study: Study) -> None:
    assert study.best() is None
    ended(study, SPACE, Outcome.FAILED)
    ended(study, SPACE, Outcome.DIVERGED)
    start(study, SPACE)
    assert study.best() is None


def test_running_trials_of_a_killed_driver_wait_to_be_resumed(stored: Study, storage: str) -> None:
    ended(stored, SPACE)
    start(stored, SPACE)
    stored.record.enqueue_trial({"lora.r": 4})
    reopened = create_or_continue("s", storage, ["eval_loss"], ["minimize"])
    reopened.close_abandoned()
    assert [trial.state for trial in reopened.record.trials] == [
        TrialState.COMPLETE,
        TrialState.WAITING,
        TrialState.WAITING,  # enqueued by another program, never started
    ]
    assert [trial.number for trial in reopened.unfinished()] == [1]
    assert [recorded_outcome(trial) for trial in reopened.trials()] == [
        Outcome.COMPLETE,
        Outcome.INTERRUPTED,
    ]
    assert [trial.number for trial in reopened.finished()] == [0]


def test_running_trials_of_a_living_driver_are_kept(stored: Study) -> None:
    for name in ("alive", "dead"):
        stored.start({"lora.r": 4}, SPACE, "sampler", name)
    stored.close_abandoned(lambda driver: driver == "alive")
    assert [trial.state for trial in stored.trials()] == [TrialState.RUNNING, TrialState.WAITING]


def test_a_resumed_trial_has_no_outcome(study: Study) -> None:
    trial = start(study, SPACE)
    study.report(trial, 1024, 3.5)
    study.tell(trial, Outcome.INTERRUPTED)
    assert [recorded_outcome(each) for each in study.trials()] == [Outcome.INTERRUPTED]
    study.retry(trial, 0)
    (running,) = study.trials()
    assert (running.state, recorded_outcome(running)) == (TrialState.RUNNING, None)
    assert tokens_of(running) == 1024


def test_reading_a_study_closes_nothing(stored: Study, storage: str) -> None:
    start(stored, SPACE)
    (trial,) = read("s", storage).trials()
    assert trial.state is TrialState.RUNNING


def test_the_searched_keys_come_in_order_of_appearance(study: Study) -> None:
    more = {"lora.dropout": optuna.distributions.FloatDistribution(0, 1), **SPACE}
    start(study, SPACE)
    start(study, more)
    assert list(study.searched().items()) == [
        *SPACE.items(),
        ("lora.dropout", more["lora.dropout"]),
    ]


def test_a_study_that_does_not_exist_cannot_be_read(stored: Study, storage: str) -> None:
    with pytest.raises(KeyError):
        read("another", storage)


def test_groups_are_ranked_counted_and_resumed_separately(stored: Study, storage: str) -> None:
    ended(stored, SPACE, Outcome.COMPLETE, 1.0)
    ended(stored, SPACE, Outcome.FAILED)
    ended(stored, SPACE, Outcome.INTERRUPTED)
    stored.keep_data("{}", {"eval_data": "one"})
    stored.begin_group()
    assert (stored.trials(), stored.best(), stored.front(), stored.data()) == ([], None, [], {})
    ended(stored, SPACE, Outcome.COMPLETE, 3.0)
    ended(stored, SPACE, Outcome.COMPLETE, 2.0)
    reopened = read("s", storage)
    assert reopened.group == 1
    assert [trial.number for trial in reopened.ranked()] == [4, 3]
    assert [trial.number for trial in reopened.front()] == [4]
    assert (reopened.failed(), reopened.unfinished()) == ([], [])
    assert [trial.number for trial in reopened.of_all_groups()] == [0, 1, 2, 3, 4]


def test_a_front_considers_one_group_and_keeps_equal_trials() -> None:
    study = in_memory("minimize", "maximize", objectives=["eval_loss", "accuracy"])
    ended(study, SPACE, Outcome.COMPLETE, 0.1, 0.9)
    study.begin_group()
    for values in ((2.0, 0.5), (1.0, 0.25), (3.0, 0.25), (1.0, 0.25), (1.0, 0.2)):
        ended(study, SPACE, Outcome.COMPLETE, *values)
    assert [trial.number for trial in study.front()] == [2, 4, 1]


def test_known_fingerprints_are_kept(study: Study) -> None:
    assert study.keep_data("{}", {"eval_data": "one"}) == {"eval_data": "one"}
    kept = study.keep_data("{}", {"eval_data": "two", "test_data": "three"})
    assert kept == study.data()["{}"] == {"eval_data": "one", "test_data": "three"}
