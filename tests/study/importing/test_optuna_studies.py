import hashlib
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from tests.studies import in_memory
from ugro.errors import UserError
from ugro.events.outcome import Outcome
from ugro.study.importing.foreign_study import ForeignStudy
from ugro.study.importing.optuna_studies import foreign_study, snapshot
from ugro.study.study import Study, read
from ugro.study.trial_record import metrics, recorded_outcome, source

from .conftest import downgrade

KEYS = {"lr": "training.learning_rate"}


def imported(database: Path, folder: Path, **given: Any) -> ForeignStudy:
    """As ``ugro import`` reads it."""
    folder.mkdir()
    study = read("theirs", snapshot(f"sqlite:///{database}", folder))
    return foreign_study(study, "theirs", **{"keys": KEYS, **given})


def test_ended_trials_are_read_as_their_program_recorded_them(
    theirs: optuna.Study, tmp_path: Path
) -> None:
    found = imported(tmp_path / "theirs.db", tmp_path / "copy")
    assert (found.objectives, found.directions) == (("value",), ("minimize",))
    assert found.left_out == {"running": 1, "waiting": 1}
    ended = [trial for trial in theirs.trials if trial.state.is_finished()]
    assert list(found.trials) == [trial.number for trial in ended] == list(range(8))
    for trial in ended:
        own = found.trials[trial.number]
        expected = {KEYS.get(name, name): value for name, value in trial.params.items()}
        assert (own.state, own.values, own.params) == (trial.state, trial.values, expected)
        assert own.intermediate_values == trial.intermediate_values
        assert own.datetime_start == trial.datetime_start
        assert own.datetime_complete == trial.datetime_complete
    endings = [recorded_outcome(trial) for trial in found.trials.values()]
    assert (endings[4], endings[5]) == (Outcome.FAILED, Outcome.RUNG)
    assert endings.count(Outcome.COMPLETE) == 6


def test_numbers_that_a_program_attached_are_metrics_and_words_are_kept(
    theirs: optuna.Study, tmp_path: Path
) -> None:
    trial = imported(tmp_path / "theirs.db", tmp_path / "copy").trials[0]
    value = theirs.trials[0].value
    assert value is not None
    assert metrics(trial) == {"accuracy": 1 / (1 + value), "value": value}
    assert trial.user_attrs["note"] == "by hand"
    assert source(trial) == ""  # another program's


@pytest.mark.usefixtures("theirs")
def test_names_without_a_key_are_kept(tmp_path: Path) -> None:
    found = imported(tmp_path / "theirs.db", tmp_path / "copy")
    assert found.parameters == ("training.learning_rate", "lora.r", "kind")
    assert found.unknown == ("kind",)


@pytest.mark.usefixtures("theirs")
def test_an_objective_may_get_a_name(tmp_path: Path) -> None:
    found = imported(tmp_path / "theirs.db", tmp_path / "copy", objectives=["eval_loss"])
    assert found.objectives == ("eval_loss",)
    assert set(metrics(found.trials[0])) == {"accuracy", "eval_loss"}
    with pytest.raises(UserError, match=r"^objective: 'a, b' given, allowed: 1 names, for value$"):
        imported(tmp_path / "theirs.db", tmp_path / "again", objectives=["a", "b"])


@pytest.mark.usefixtures("theirs")
def test_the_original_is_not_touched(tmp_path: Path) -> None:
    before = hashlib.sha256((tmp_path / "theirs.db").read_bytes()).digest()
    imported(tmp_path / "theirs.db", tmp_path / "copy")
    assert hashlib.sha256((tmp_path / "theirs.db").read_bytes()).digest() == before
    assert [path.name for path in tmp_path.glob("theirs.db*")] == ["theirs.db"]


def test_a_database_of_an_earlier_optuna_is_read_as_it_is(
    theirs: optuna.Study, tmp_path: Path
) -> None:
    database = tmp_path / "theirs.db"
    expected = [trial.values for trial in theirs.trials if trial.state.is_finished()]
    downgrade(database)
    with pytest.raises(RuntimeError, match="no longer compatible"):
        optuna.load_study(study_name="theirs", storage=f"sqlite:///{database}")
    before = database.read_bytes()
    found = imported(database, tmp_path / "copy")
    assert database.read_bytes() == before
    assert [trial.values for trial in found.trials.values()] == expected


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("text" * 100)
    allowed = r"allowed: a database of Optuna \(file is not a database\)$"
    with pytest.raises(UserError, match=allowed):
        snapshot(f"sqlite:///{tmp_path}/text.db", tmp_path / "copy")


def test_a_trial_that_violates_their_constraints_is_infeasible() -> None:
    sampler = optuna.samplers.TPESampler(constraints_func=lambda trial: (trial.params["x"] - 2,))
    record = optuna.create_study(sampler=sampler)
    for x in (1, 3):
        record.enqueue_trial({"x": x})
    record.optimize(lambda trial: -trial.suggest_int("x", 1, 4), n_trials=2)
    study = Study(record, record._storage)
    found = foreign_study(study, "theirs", {}).trials
    assert [recorded_outcome(trial) for trial in found.values()] == [
        Outcome.COMPLETE,
        Outcome.INFEASIBLE,
    ]
    assert found[1].state is TrialState.PRUNED
    assert metrics(found[1]) == {"value": -3.0}


def test_attributes_that_mean_something_else_are_no_outcome_group_or_source() -> None:
    study = in_memory()
    trial = study.record.ask()
    for name, value in {"reason": "failed", "source": "sampler", "metrics": [1]}.items():
        trial.set_user_attr(name, value)
    study.record.tell(trial, 1.0)
    [found] = foreign_study(study, "theirs", {}).trials.values()
    assert recorded_outcome(found) is Outcome.COMPLETE
    assert (source(found), metrics(found)) == ("", {"value": 1.0})
