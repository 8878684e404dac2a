import math
from pathlib import Path

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from ugro.report import TrialResult
from ugro.sweep.study import Ending, Study, create_or_continue, ending, metrics, read

SPACE = {"lora.r": optuna.distributions.CategoricalDistribution((4, 8, 16, 32))}


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture
def stored(storage: str) -> Study:
    return create_or_continue("s", storage, StudyDirection.MINIMIZE)


@pytest.fixture
def study() -> Study:
    return Study(optuna.create_study())


def ended(study: Study, how: Ending, objective: float = 1.0) -> int:
    trial = study.record.ask(SPACE)
    study.tell(trial, how, TrialResult(objective, {"eval_loss": objective}))
    return trial.number


@pytest.mark.parametrize(
    ("how", "state"),
    [
        (Ending.COMPLETE, TrialState.COMPLETE),
        (Ending.DIVERGED, TrialState.PRUNED),
        (Ending.FAILED, TrialState.FAIL),
        (Ending.INTERRUPTED, TrialState.FAIL),
        (Ending.DUPLICATE, TrialState.FAIL),
    ],
)
def test_each_ending_has_its_state_and_can_be_told_from_it(
    how: Ending, state: TrialState, study: Study
) -> None:
    ended(study, how)
    (trial,) = study.record.trials
    assert (trial.state, ending(trial)) == (state, how)
    assert trial.value == (1.0 if how is Ending.COMPLETE else None)


def test_a_running_trial_has_no_ending_yet(study: Study) -> None:
    study.record.ask(SPACE)
    (trial,) = study.trials()
    assert ending(trial) is None
    assert metrics(trial) == {}
    assert study.finished() == []


def test_what_a_trial_measured_and_what_went_wrong_is_kept(stored: Study, storage: str) -> None:
    measured = {"eval_loss": 2.5, "tokens_seen": 4096}
    stored.tell(stored.record.ask(SPACE), Ending.COMPLETE, TrialResult(2.5, measured))
    stored.tell(stored.record.ask(SPACE), Ending.FAILED, error="MemoryError: too large")
    good, bad = read("s", storage).trials()
    assert metrics(good) == measured
    assert metrics(bad) == {}
    assert bad.user_attrs["error"] == "MemoryError: too large"
    assert "error" not in good.user_attrs


def test_finished_are_those_that_ended_by_themselves(study: Study) -> None:
    numbers = {how: ended(study, how) for how in Ending}
    study.record.ask(SPACE)  # runs
    study.record.enqueue_trial({"lora.r": 4})  # waits
    by_themselves = (Ending.COMPLETE, Ending.DIVERGED, Ending.FAILED)
    assert [t.number for t in study.finished()] == [numbers[how] for how in by_themselves]
    assert [t.number for t in study.failed()] == [numbers[Ending.FAILED]]
    assert [t.number for t in study.trials()] == [0, 1, 2, 3, 5]  # 4 is the duplicate, 6 waits


@pytest.mark.parametrize(("direction", "best"), [("minimize", 2), ("maximize", 1)])
def test_the_best_trial_follows_the_direction(direction: str, best: int) -> None:
    study = Study(optuna.create_study(direction=direction))
    for objective in (2.0, 3.0, 1.0):
        ended(study, Ending.COMPLETE, objective)
    ended(study, Ending.DIVERGED, objective=math.inf)
    found = study.best()
    assert found is not None
    assert found.number == best


def test_among_equals_the_first_is_best(study: Study) -> None:
    for _ in range(2):
        ended(study, Ending.COMPLETE)
    found = study.best()
    assert found is not None
    assert found.number == 0


def test_before_a_trial_is_complete_there_is_no_best(study: Study) -> None:
    assert study.best() is None
    ended(study, Ending.FAILED)
    ended(study, Ending.DIVERGED)
    study.record.ask(SPACE)
    assert study.best() is None


def test_a_continued_study_closes_what_a_killed_driver_left_running(
    stored: Study, storage: str
) -> None:
    ended(stored, Ending.COMPLETE)
    stored.record.ask(SPACE)
    stored.record.enqueue_trial({"lora.r": 4})
    again = create_or_continue("s", storage, StudyDirection.MINIMIZE)
    assert [trial.state for trial in again.record.trials] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.WAITING,
    ]
    assert [ending(trial) for trial in again.trials()] == [Ending.COMPLETE, Ending.INTERRUPTED]
    assert [trial.number for trial in again.finished()] == [0]


def test_reading_a_study_closes_nothing(stored: Study, storage: str) -> None:
    stored.record.ask(SPACE)
    (trial,) = read("s", storage).trials()
    assert trial.state is TrialState.RUNNING


def test_the_searched_keys_come_in_order_of_appearance(study: Study) -> None:
    more = {"lora.dropout": optuna.distributions.FloatDistribution(0, 1), **SPACE}
    study.record.ask(SPACE)
    study.record.ask(more)
    assert list(study.searched().items()) == [
        *SPACE.items(),
        ("lora.dropout", more["lora.dropout"]),
    ]


def test_a_study_that_does_not_exist_cannot_be_read(stored: Study, storage: str) -> None:
    with pytest.raises(KeyError):
        read("another", storage)
