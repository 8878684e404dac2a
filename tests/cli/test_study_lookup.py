import os
import sqlite3
import sys
from pathlib import Path

import pytest

from ugro.cli.arguments import parse
from ugro.cli.main import main
from ugro.cli.study_lookup import StudyLocation, find_study
from ugro.errors import UserError
from ugro.study.study import create_or_continue


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(*arguments: str) -> StudyLocation:
    """As ``ugro analyze`` finds it."""
    return find_study(parse("analyze", arguments))


def made(name: str, folder: str | None = None) -> None:
    """A study in a database, by default where a sweep puts it."""
    database = Path(folder or f"multirun/{name}") / "study.db"
    create_or_continue(name, f"sqlite:///{database}", ["eval_loss"], ["minimize"])


def written(name: str, at: float, file: str = "study.db", content: str = "written") -> None:
    """A file of a study, as it was written then, in seconds."""
    path = Path("multirun", name, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (at, at))


def test_a_study_is_found_by_its_name() -> None:
    made("first")
    first = found("study.name=first")
    database = "sqlite:///multirun/first/study.db"
    assert first == StudyLocation("first", Path("multirun/first"), database)
    assert first.study().record.study_name == "first"


def test_by_default_the_study_that_was_written_last_is_taken() -> None:
    for name, at in (("b", 1000), ("a", 999)):
        written(name, at)
    Path("multirun/unfinished").mkdir()  # no database in it
    assert found().name == "b"


@pytest.mark.parametrize("file", ["events.jsonl", "study.db-wal"])
def test_a_study_that_still_runs_is_the_latest_whenever_its_database_was_made(file: str) -> None:
    written("running", 1000)
    written("finished", 2000)
    for content, latest in (("", "finished"), ("written", "running")):
        written("running", 3000, file, content)
        assert found().name == latest


def test_a_name_of_digits_is_a_name() -> None:
    made("007")
    assert found("study.name=007").study().record.study_name == "007"


def test_folder_storage_and_what_the_command_knows_may_be_given() -> None:
    made("s", "elsewhere")
    elsewhere = found("study.name=s", "study.dir=elsewhere")
    assert elsewhere.storage == "sqlite:///elsewhere/study.db"
    url = "postgresql://host/studies?sslmode=require"
    given = parse("backup", ["study.name=s", f"storage={url}", "to=a=b"])
    there = find_study(given)
    assert (there.storage, there.folder, given["to"]) == (url, Path("multirun/s"), "a=b")


def test_of_a_storage_with_one_study_its_name_need_not_be_given() -> None:
    made("foreign", "elsewhere")
    storage = "sqlite:///elsewhere/study.db"
    assert found(f"storage={storage}") == StudyLocation(
        "foreign", Path("multirun/foreign"), storage
    )
    create_or_continue("second", storage, ["eval_loss"], ["minimize"])
    with pytest.raises(UserError, match=r"allowed: a study of the storage: foreign, second$"):
        found(f"storage={storage}")
    with pytest.raises(UserError, match=r"a study that the storage holds: foreign, second$"):
        found(f"storage={storage}", "study.name=third").study()


def test_a_database_that_is_not_there_is_not_made() -> None:
    with pytest.raises(UserError, match=r"^storage: 'sqlite:///no\.db' given, allowed: a database"):
        found("storage=sqlite:///no.db", "study.name=s")
    assert not Path("no.db").exists()


def test_a_database_of_an_old_optuna_is_told() -> None:
    made("old")
    database = sqlite3.connect("multirun/old/study.db")
    database.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    database.commit()
    with pytest.raises(UserError, match=r"^storage: .* allowed: one that this Optuna reads \("):
        found("study.name=old").study()


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("study=first", "argument: 'study=first' given, allowed: storage, study.dir, study.name"),
        ("--help", "argument: '--help' given, allowed: storage, study.dir, study.name"),
        ("[", "argument: '[' given, allowed: storage, study.dir, study.name"),
        (
            "study.name=none",
            "study.name: 'none' given, allowed: a study with a database multirun/none/study.db",
        ),
    ],
)
def test_an_unknown_argument_or_study_is_one_line(argument: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        found(argument)
    assert str(error.value) == line


def test_the_only_study_of_a_folder_that_was_renamed_is_meant() -> None:
    made("inside", "multirun/renamed")
    assert found().study().record.study_name == "inside"


def test_a_database_that_holds_other_studies_is_told() -> None:
    made("inside", "multirun/renamed")
    made("beside", "multirun/renamed")
    with pytest.raises(
        UserError, match=r"^study\.name: 'renamed' given, allowed: a study that the"
    ):
        found().study()


def test_where_nothing_was_swept_yet_the_first_step_is_named() -> None:
    with pytest.raises(UserError, match=r"^no study in multirun/ yet; run: make sweep$"):
        found()


def test_a_mistake_ends_the_process_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ugro", "analyze", "study=s"])
    with pytest.raises(SystemExit, match=r"^error: argument: 'study=s' given"):
        main()
