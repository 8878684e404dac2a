"""A study's folder and its record: renamed, copied, lost, of another study."""

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
from ugro.events.events import StudyStarted, TrialAsked, TrialFinished, TrialReported
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report, TrialResult
from ugro.objectives.objectives import Objectives
from ugro.observers.audit_log import AuditLog
from ugro.study.consistency import disagreements
from ugro.study.event_replay import space_as_json
from ugro.study.identity import opened
from ugro.study.study import Study, create_or_continue, names, read

LOSS = Objectives(Mode.scalarized, {"eval_loss": ObjectiveConfig(Direction.minimize)})
CONFIGURATION = {
    "objectives": {"mode": "scalarized", "metrics": {"eval_loss": {"direction": "minimize"}}}
}
SPACE = {"lora.r": IntDistribution(1, 64), "training.learning_rate": FloatDistribution(0, 1)}
DEFINITION = {"lora.r": "1 to 64", "data.source": "pydocs"}
DATA = {"train_data": "a", "eval_data": "b"}
ENDINGS = (
    Outcome.COMPLETE,
    Outcome.RUNG,
    Outcome.FAILED,
    Outcome.COMPLETE,
    None,
)  # the last one runs


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/study.db"


def open_in(folder: Path, url: str = "") -> Study:
    folder.mkdir(parents=True, exist_ok=True)
    return opened(folder.name, url or url_of(folder), folder, LOSS)


def made(folder: Path, url: str = "", endings: Sequence[Outcome | None] = ENDINGS) -> Study:
    """A study as a driver leaves it that was killed: record, log and the files of its trials."""
    study = open_in(folder, url)
    study.define(DEFINITION)
    log = AuditLog(folder / "events.jsonl")
    run(study, log, endings, folder)
    return study


def run(study: Study, log: AuditLog, endings: Sequence[Outcome | None], folder: Path) -> None:
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
    for how in endings:
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
        if how is None:
            continue
        has = how.has_value
        result = TrialResult((loss,), {"eval_loss": loss, "tokens_seen": 1024.0}) if has else None
        error = "RuntimeError: no" if how is Outcome.FAILED else ""
        values, measured = ((loss,), dict(result.metrics)) if result else ((), {})
        log.observe(TrialFinished(number, how, values, measured, error, DATA))
        study.tell(trial, how, result, error)


def copied(source: Path, target: Path) -> None:
    """Copy a study's database, what is still in SQLite's log included."""
    target.mkdir(exist_ok=True)
    with (
        closing(sqlite3.connect(source / "study.db")) as one,
        closing(sqlite3.connect(target / "study.db")) as other,
    ):
        one.backup(other)


def files_in(folder: Path) -> dict[str, str]:
    adapters = sorted((folder / "trials").rglob("adapter"))
    return {str(path.relative_to(folder)): path.read_text() for path in adapters}


def known(trial: FrozenTrial) -> tuple[object, ...]:
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


def test_both_get_the_same_id_once(tmp_path: Path) -> None:
    study = open_in(tmp_path / "a")
    own = json.loads((tmp_path / "a" / "study.json").read_text())
    assert own == {"id": study.id, "name": "a"}
    assert len(study.id) == 16
    assert open_in(tmp_path / "a").id == study.id
    assert open_in(tmp_path / "b").id != study.id


def test_a_renamed_folder_is_taken_up_with_all_its_trials(tmp_path: Path) -> None:
    before = made(tmp_path / "a")
    trials, adapters = list(map(known, before.every())), files_in(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    create_or_continue("a/confirm", url_of(tmp_path / "b" / "confirm"), ["eval_loss"], ["minimize"])
    study = open_in(tmp_path / "b")
    assert names(url_of(tmp_path / "b")) == ["b"]
    assert names(url_of(tmp_path / "b" / "confirm")) == ["b/confirm"]
    assert list(map(known, study.every())) == trials
    assert (study.id, study.definition()) == (before.id, DEFINITION)
    assert files_in(tmp_path / "b") == adapters
    assert json.loads((tmp_path / "b" / "study.json").read_text())["name"] == "b"
    run(study, AuditLog(tmp_path / "b" / "events.jsonl"), [Outcome.COMPLETE], tmp_path / "b")
    assert len(study.every()) == len(ENDINGS) + 1
    assert open_in(tmp_path / "b").trials()[-1].number == len(ENDINGS)


def test_a_copied_folder_goes_on_and_the_one_it_was_copied_from_too(tmp_path: Path) -> None:
    made(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for name in ("b", "a"):
        assert len(open_in(tmp_path / name).trials()) == len(ENDINGS)
        assert names(url_of(tmp_path / name)) == [name]


def test_a_record_that_is_lost_is_made_anew_from_the_event_log(tmp_path: Path) -> None:
    before = made(tmp_path / "a")
    trials, data = list(map(known, before.every())), before.data()
    for path in (tmp_path / "a").glob("study.db*"):
        path.unlink()
    study = open_in(tmp_path / "a")
    assert list(map(known, study.every())) == trials
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


def test_groups_of_a_record_that_is_lost_stay_apart(tmp_path: Path) -> None:
    study = made(tmp_path / "a", endings=ENDINGS[:2])
    study.begin_group()
    study.define({**DEFINITION, "training.max_steps": "7"})
    run(study, AuditLog(tmp_path / "a" / "events.jsonl"), [Outcome.COMPLETE], tmp_path / "a")
    trials = list(map(known, study.every()))
    (tmp_path / "a" / "study.db").unlink()
    again = open_in(tmp_path / "a")
    assert list(map(known, again.every())) == trials
    assert (again.group, [trial.number for trial in again.ranked()]) == (1, [2])
    assert again.definition()["training.max_steps"] == "7"


def test_a_renamed_folder_whose_record_is_lost_too_is_taken_up(tmp_path: Path) -> None:
    before = made(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b" / "study.db").unlink()
    study = open_in(tmp_path / "b")
    assert (len(study.trials()), study.id) == (len(ENDINGS), before.id)


def test_trials_that_an_older_copy_of_the_record_lacks_are_added(tmp_path: Path) -> None:
    study = made(tmp_path / "a", endings=ENDINGS[:2])
    copied(tmp_path / "a", tmp_path / "copy")
    run(study, AuditLog(tmp_path / "a" / "events.jsonl"), ENDINGS[2:], tmp_path / "a")
    trials = list(map(known, study.every()))
    for path in (tmp_path / "a").glob("study.db*"):
        path.unlink()
    copied(tmp_path / "copy", tmp_path / "a")
    assert list(map(known, open_in(tmp_path / "a").every())) == trials


def test_a_number_that_the_log_does_not_tell_of_is_not_used_again(tmp_path: Path) -> None:
    made(tmp_path / "a")
    log = tmp_path / "a" / "events.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    asked = next(line for line in lines if '"TrialAsked"' in line and '"number": 1' in line)
    log.write_text("".join(line for line in lines if line != asked))
    (tmp_path / "a" / "study.db").unlink()
    study = open_in(tmp_path / "a")
    assert [trial.number for trial in study.trials()] == [0, 2, 3, 4]
    assert len(study.every()) == len(ENDINGS)


def refused(folder: Path, url: str = "") -> str:
    """What is said; nothing of the trials is touched."""
    before = files_in(folder)
    with pytest.raises(UserError) as error:
        open_in(folder, url)
    assert files_in(folder) == before
    [line] = str(error.value).splitlines()
    return line


def test_without_log_and_record_a_folder_with_trials_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "a")
    (tmp_path / "a" / "study.db").unlink()
    (tmp_path / "a" / "events.jsonl").unlink()
    said = refused(tmp_path / "a")
    assert said.startswith("study.name: 'a' given, allowed: another name, or this one when its rec")
    assert "events.jsonl does not tell enough" in said


def test_a_log_of_an_earlier_version_is_not_enough(tmp_path: Path) -> None:
    made(tmp_path / "a")
    log = tmp_path / "a" / "events.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        for key in ("definition", "space", "id", "group"):
            line.pop(key, None)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "a" / "study.db").unlink()
    assert "does not tell enough to make it anew" in refused(tmp_path / "a")


def test_a_record_elsewhere_that_is_lost_is_refused(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal"
    made(tmp_path / "a", url)
    (tmp_path / "journal").unlink()
    assert refused(tmp_path / "a", url) == (
        f"study.name: 'a' given, allowed: another name or study.dir: {tmp_path}/a holds trials, "
        f"and {url} has no record of them"
    )


def test_a_renamed_folder_whose_record_is_elsewhere_names_its_study(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal"
    made(tmp_path / "a", url)
    (tmp_path / "a").rename(tmp_path / "b")
    said = refused(tmp_path / "b", url)
    assert said.endswith(f"study.name=a study.dir={tmp_path}/b")


@pytest.mark.parametrize("lost", [False, True], ids=["with its file", "with its log alone"])
def test_a_folder_of_another_study_than_the_record_is_refused(lost: bool, tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal"
    made(tmp_path / "a", url)
    made(tmp_path / "b", url)
    shutil.rmtree(tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    if lost:
        (tmp_path / "b" / "study.json").unlink()
    said = f"another name or study.dir: the trials in {tmp_path}/b are not those of its record"
    assert said in refused(tmp_path / "b", url)


def test_a_database_of_another_study_in_the_folder_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "a")
    made(tmp_path / "b")
    for path in (tmp_path / "a").glob("study.db*"):
        path.unlink()
    copied(tmp_path / "b", tmp_path / "a")
    assert "are not those of its record" in refused(tmp_path / "a")
    assert names(url_of(tmp_path / "a")) == ["b"]


def test_a_record_that_would_give_a_number_again_is_refused(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/journal"
    study = made(tmp_path / "a", url)
    (tmp_path / "journal").unlink()
    again = create_or_continue("a", url, ["eval_loss"], ["minimize"])
    again.identify(study.id)
    said = refused(tmp_path / "a", url)
    assert said.endswith(f"that has 0 trials, {tmp_path}/a/trials those up to 4")


def test_a_study_of_an_earlier_version_gets_an_id_and_is_as_it_was(tmp_path: Path) -> None:
    url = url_of(tmp_path / "a")
    (tmp_path / "a" / "trials" / "0000").mkdir(parents=True)
    old = create_or_continue("a", url, ["eval_loss"], ["minimize"])
    trial = old.start({"lora.r": 1, "training.learning_rate": 0.1}, SPACE, "sampler")
    old.tell(trial, Outcome.COMPLETE, TrialResult((2.0,), {"eval_loss": 2.0}))
    before = old.every()
    study = open_in(tmp_path / "a")
    assert study.every() == before
    assert study.id == read("a", url).id != ""


def test_a_folder_that_holds_no_trial_is_anyones(tmp_path: Path) -> None:
    """A machine on which the study was not run yet, or one whose disk was replaced."""
    url = f"journal:///{tmp_path}/journal"
    study = made(tmp_path / "a", url)
    shutil.rmtree(tmp_path / "a")
    again = open_in(tmp_path / "a", url)
    assert (again.id, len(again.trials())) == (study.id, len(ENDINGS))
    assert json.loads((tmp_path / "a" / "study.json").read_text())["id"] == study.id
