"""A study's folder and its record: renamed, copied, lost, or of another study."""

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from ugro.config import Direction, Mode, ObjectiveConfig
from ugro.errors import UserError
from ugro.events.event_log import read as read_log
from ugro.events.events import (
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialResumed,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report, TrialResult
from ugro.objectives.objectives import Objectives
from ugro.observers.audit_log import AuditLog
from ugro.study.consistency import disagreements
from ugro.study.event_replay import space_as_json
from ugro.study.identity import open_record
from ugro.study.study import Study, create_or_continue, names, read

LOSS = Objectives(Mode.scalarized, {"eval_loss": ObjectiveConfig(Direction.minimize)})
CONFIGURATION = {
    "objectives": {"mode": "scalarized", "metrics": {"eval_loss": {"direction": "minimize"}}}
}
SPACE = {"lora.r": IntDistribution(1, 64), "training.learning_rate": FloatDistribution(0, 1)}
DEFINITION = {"lora.r": "1 to 64", "data.source": "pydocs"}
DATA = {"train_data": "a", "eval_data": "b"}
OUTCOMES = (
    Outcome.COMPLETE,
    Outcome.RUNG,
    Outcome.FAILED,
    Outcome.COMPLETE,
    None,
)  # the last trial is running


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/study.db"


def open_in(folder: Path, url: str = "") -> Study:
    folder.mkdir(parents=True, exist_ok=True)
    return open_record(folder.name, url or url_of(folder), folder, LOSS)


def create(folder: Path, url: str = "", outcomes: Sequence[Outcome | None] = OUTCOMES) -> Study:
    """Create a study as a killed driver leaves it: record, log and files of its trials."""
    study = open_in(folder, url)
    study.define(DEFINITION)
    log = AuditLog(folder / "events.jsonl")
    run(study, log, outcomes, folder)
    return study


def run(study: Study, log: AuditLog, outcomes: Sequence[Outcome | None], folder: Path) -> None:
    log.observe(
        StudyStarted(
            study.record.study_name,
            str(folder),
            9,
            0,
            ("eval_loss",),
            ("minimize",),
            configuration=CONFIGURATION,
            id=study.id,
            group=study.group,
            definition=study.definition(),
            space=space_as_json(SPACE),
        )
    )
    study.keep_data("{}", DATA)
    for outcome in outcomes:
        number = len(study.every())
        parameters = {"lora.r": 1 + number, "training.learning_rate": 0.1 / (1 + number)}
        log.observe(TrialAsked(number, parameters, "sampler", study.group))
        trial = study.start(parameters, SPACE, "sampler", "driver")
        (folder / "trials" / f"{number:04d}").mkdir(parents=True)
        (folder / "trials" / f"{number:04d}" / "adapter").write_text(f"of trial {number}")
        for step, loss in enumerate((9.0, 3.0 - 0.1 * number, 2.0 - 0.1 * number)):
            data = DATA if step == 0 else {}
            report = Report(step, 2, 512 * step, 1024, step, {"eval_loss": loss}, 0.0, data)
            log.observe(TrialReported(number, report, None))
            if step:
                study.report(trial, report.tokens_seen, loss)
        if outcome is None:
            continue
        if outcome is Outcome.PAUSED:
            log.observe(TrialPaused(number))
            study.tell(trial, outcome)
            continue
        has = outcome.has_value
        result = TrialResult((loss,), {"eval_loss": loss, "tokens_seen": 1024.0}) if has else None
        error = "RuntimeError: no" if outcome is Outcome.FAILED else ""
        values, measured = ((loss,), dict(result.metrics)) if result else ((), {})
        log.observe(TrialFinished(number, outcome, values, measured, error, DATA))
        study.tell(trial, outcome, result, error)


def copy_database(source: Path, target: Path) -> None:
    """Copy a study's database, including SQLite's write-ahead log."""
    target.mkdir(exist_ok=True)
    with (
        closing(sqlite3.connect(source / "study.db")) as database,
        closing(sqlite3.connect(target / "study.db")) as copy,
    ):
        database.backup(copy)


def files_in(folder: Path) -> dict[str, str]:
    adapters = sorted((folder / "trials").rglob("adapter"))
    return {str(path.relative_to(folder)): path.read_text() for path in adapters}


def summary(trial: FrozenTrial) -> tuple[object, ...]:
    attributes = {key: value for key, value in trial.user_attrs.items() if key != "driver"}
    return (
        trial.number,
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        trial.intermediate_values,
        attributes,
    )


def test_folder_and_record_get_the_same_id_once(tmp_path: Path) -> None:
    study = open_in(tmp_path / "a")
    own = json.loads((tmp_path / "a" / "study.json").read_text())
    assert own == {"id": study.id, "name": "a"}
    assert len(study.id) == 16
    assert open_in(tmp_path / "a").id == study.id
    assert open_in(tmp_path / "b").id != study.id


def test_a_renamed_folder_is_adopted_with_all_its_trials(tmp_path: Path) -> None:
    before = create(tmp_path / "a")
    trials, adapters = list(map(summary, before.every())), files_in(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    create_or_continue("a/confirm", url_of(tmp_path / "b" / "confirm"), ["eval_loss"], ["minimize"])
    study = open_in(tmp_path / "b")
    assert names(url_of(tmp_path / "b")) == ["b"]
    assert names(url_of(tmp_path / "b" / "confirm")) == ["b/confirm"]
    assert list(map(summary, study.every())) == trials
    assert (study.id, study.definition()) == (before.id, DEFINITION)
    assert files_in(tmp_path / "b") == adapters
    assert json.loads((tmp_path / "b" / "study.json").read_text())["name"] == "b"
    run(study, AuditLog(tmp_path / "b" / "events.jsonl"), [Outcome.COMPLETE], tmp_path / "b")
    assert len(study.every()) == len(OUTCOMES) + 1
    assert open_in(tmp_path / "b").trials()[-1].number == len(OUTCOMES)


def test_a_copied_folder_and_its_original_can_both_be_resumed(tmp_path: Path) -> None:
    create(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for name in ("b", "a"):
        assert len(open_in(tmp_path / name).trials()) == len(OUTCOMES)
        assert names(url_of(tmp_path / name)) == [name]


def test_a_lost_record_is_rebuilt_from_the_event_log(tmp_path: Path) -> None:
    before = create(tmp_path / "a")
    trials, data = list(map(summary, before.every())), before.data()
    for path in (tmp_path / "a").glob("study.db*"):
        path.unlink()
    study = open_in(tmp_path / "a")
    assert list(map(summary, study.every())) == trials
    assert [trial.state for trial in study.trials()] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.COMPLETE,
        TrialState.RUNNING,
    ]
    assert [trial.number for trial in study.ranked()] == [3, 0]
    assert (study.id, study.definition(), study.data()) == (before.id, DEFINITION, data)
    assert list(disagreements(study, read_log(tmp_path / "a" / "events.jsonl"))) == []
    study.close_abandoned()
    assert [trial.number for trial in study.unfinished()] == [4]


def test_a_paused_trial_of_a_lost_record_is_rebuilt_as_paused(tmp_path: Path) -> None:
    before = create(tmp_path / "a", outcomes=[Outcome.PAUSED, Outcome.PAUSED])
    AuditLog(tmp_path / "a" / "events.jsonl").observe(TrialResumed(1))
    paused, _ = map(summary, before.every())
    for path in (tmp_path / "a").glob("study.db*"):
        path.unlink()
    study = open_in(tmp_path / "a")
    assert summary(study.every()[0]) == paused
    assert [trial.state for trial in study.every()] == [TrialState.WAITING, TrialState.RUNNING]
    assert list(disagreements(study, read_log(tmp_path / "a" / "events.jsonl"))) == []


def test_groups_of_a_lost_record_are_rebuilt(tmp_path: Path) -> None:
    study = create(tmp_path / "a", outcomes=OUTCOMES[:2])
    study.begin_group()
    study.define({**DEFINITION, "training.max_steps": "7"})
    run(study, AuditLog(tmp_path / "a" / "events.jsonl"), [Outcome.COMPLETE], tmp_path / "a")
    trials = list(map(summary, study.every()))
    (tmp_path / "a" / "study.db").unlink()
    rebuilt = open_in(tmp_path / "a")
    assert list(map(summary, rebuilt.every())) == trials
    assert (rebuilt.group, [trial.number for trial in rebuilt.ranked()]) == (1, [2])
    assert rebuilt.definition()["training.max_steps"] == "7"


def test_a_renamed_folder_with_a_lost_record_is_adopted(tmp_path: Path) -> None:
    before = create(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b" / "study.db").unlink()
    study = open_in(tmp_path / "b")
    assert (len(study.trials()), study.id) == (len(OUTCOMES), before.id)


def test_trials_missing_in_an_older_copy_of_the_record_are_added(tmp_path: Path) -> None:
    study = create(tmp_path / "a", outcomes=OUTCOMES[:2])
    copy_database(tmp_path / "a", tmp_path / "copy")
    run(study, AuditLog(tmp_path / "a" / "events.jsonl"), OUTCOMES[2:], tmp_path / "a")
    trials = list(map(summary, study.every()))
    for path in (tmp_path / "a").glob("study.db*"):
        path.unlink()
    copy_database(tmp_path / "copy", tmp_path / "a")
    assert list(map(summary, open_in(tmp_path / "a").every())) == trials


def test_a_number_missing_in_the_log_is_not_reused(tmp_path: Path) -> None:
    create(tmp_path / "a")
    log = tmp_path / "a" / "events.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    asked = next(line for line in lines if '"TrialAsked"' in line and '"number": 1' in line)
    log.write_text("".join(line for line in lines if line != asked))
    (tmp_path / "a" / "study.db").unlink()
    study = open_in(tmp_path / "a")
    assert [trial.number for trial in study.trials()] == [0, 2, 3, 4]
    assert len(study.every()) == len(OUTCOMES)


def rejected(folder: Path, url: str = "") -> str:
    """Return the error; no file of the trials may change."""
    before = files_in(folder)
    with pytest.raises(UserError) as error:
        open_in(folder, url)
    assert files_in(folder) == before
    [line] = str(error.value).splitlines()
    return line


def test_a_folder_with_trials_but_neither_log_nor_record_is_rejected(tmp_path: Path) -> None:
    create(tmp_path / "a")
    (tmp_path / "a" / "study.db").unlink()
    (tmp_path / "a" / "events.jsonl").unlink()
    message = rejected(tmp_path / "a")
    assert message.startswith(
        "study.name: 'a' given, allowed: another name, or this name after rest"
    )
    assert "events.jsonl is insufficient" in message


def test_a_log_of_an_earlier_version_is_insufficient(tmp_path: Path) -> None:
    create(tmp_path / "a")
    log = tmp_path / "a" / "events.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        for key in ("definition", "space", "id", "group"):
            line.pop(key, None)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "a" / "study.db").unlink()
    assert "is insufficient to rebuild it" in rejected(tmp_path / "a")


def test_a_lost_record_in_a_shared_storage_is_rejected(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal"
    create(tmp_path / "a", url)
    (tmp_path / "journal").unlink()
    assert rejected(tmp_path / "a", url) == (
        f"study.name: 'a' given, allowed: another name or study.dir: {tmp_path}/a holds trials "
        f"that {url} has no record of"
    )


def test_a_renamed_folder_with_a_shared_storage_is_rejected_with_its_name(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal"
    create(tmp_path / "a", url)
    (tmp_path / "a").rename(tmp_path / "b")
    message = rejected(tmp_path / "b", url)
    assert message.endswith(f"study.name=a study.dir={tmp_path}/b")


@pytest.mark.parametrize("lost", [False, True], ids=["with its file", "with its log alone"])
def test_a_folder_of_another_study_is_rejected(lost: bool, tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal"
    create(tmp_path / "a", url)
    create(tmp_path / "b", url)
    shutil.rmtree(tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    if lost:
        (tmp_path / "b" / "study.json").unlink()
    message = f"another name or study.dir: the trials in {tmp_path}/b are not those of its record"
    assert message in rejected(tmp_path / "b", url)


def test_a_database_of_another_study_is_rejected(tmp_path: Path) -> None:
    create(tmp_path / "a")
    create(tmp_path / "b")
    for path in (tmp_path / "a").glob("study.db*"):
        path.unlink()
    copy_database(tmp_path / "b", tmp_path / "a")
    assert "are not those of its record" in rejected(tmp_path / "a")
    assert names(url_of(tmp_path / "a")) == ["b"]


def test_a_record_that_would_reuse_a_number_is_rejected(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal"
    study = create(tmp_path / "a", url)
    (tmp_path / "journal").unlink()
    rebuilt = create_or_continue("a", url, ["eval_loss"], ["minimize"])
    rebuilt.identify(study.id)
    message = rejected(tmp_path / "a", url)
    assert message.endswith(f"the record has 0 trials, {tmp_path}/a/trials holds trials up to 4")


def test_a_study_of_an_earlier_version_gets_an_id_and_keeps_its_trials(tmp_path: Path) -> None:
    url = url_of(tmp_path / "a")
    (tmp_path / "a" / "trials" / "0000").mkdir(parents=True)
    old = create_or_continue("a", url, ["eval_loss"], ["minimize"])
    trial = old.start({"lora.r": 1, "training.learning_rate": 0.1}, SPACE, "sampler")
    old.tell(trial, Outcome.COMPLETE, TrialResult((2.0,), {"eval_loss": 2.0}))
    before = old.every()
    study = open_in(tmp_path / "a")
    assert study.every() == before
    assert study.id == read("a", url).id != ""


def test_a_folder_without_trials_takes_any_record(tmp_path: Path) -> None:
    """A machine that has not run the study yet, or with a replaced disk."""
    url = f"journal:///{tmp_path}/journal"
    study = create(tmp_path / "a", url)
    shutil.rmtree(tmp_path / "a")
    rebuilt = open_in(tmp_path / "a", url)
    assert (rebuilt.id, len(rebuilt.trials())) == (study.id, len(OUTCOMES))
    assert json.loads((tmp_path / "a" / "study.json").read_text())["id"] == study.id
