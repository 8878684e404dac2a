import sqlite3
import threading
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution

from tests.studies import ended
from ugro.cli.backup import main
from ugro.errors import UserError
from ugro.study.study import Study, create_or_continue, read

SPACE = {"lora.r": CategoricalDistribution((4, 8, 16))}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    study = create_or_continue("s", "sqlite:///multirun/s/study.db", ["eval_loss"], ["minimize"])
    for _ in range(3):
        ended(study, SPACE)
    return study


def trials(database: Path) -> list[object]:
    return [(one.number, one.state, one.params, one.values) for one in in_copy(database)]


def in_copy(database: Path) -> list[object]:
    return read("s", f"sqlite:///{database}").every()


def test_a_copy_holds_the_study_and_is_named_by_the_time(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["study.name=s"])
    [copy] = Path("multirun/s/backups").iterdir()
    assert capsys.readouterr().out == f"{copy}: 3 trials, checked\n"
    assert trials(copy) == trials(Path("multirun/s/study.db"))


def test_a_copy_of_a_study_that_is_written_all_the_time_is_whole(study: Study) -> None:
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            ended(study, SPACE)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            main(["study.name=s", f"to=copies/{number}.db"])
    finally:
        done.set()
        writer.join()
    sizes = [len(in_copy(Path(f"copies/{number}.db"))) for number in range(5)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 3
    for number in range(5):
        copied = read("s", f"sqlite:///copies/{number}.db").every()
        assert [one.number for one in copied] == list(range(len(copied)))


def test_a_damaged_database_gives_no_copy(study: Study) -> None:
    with sqlite3.connect("multirun/s/study.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    database = Path("multirun/s/study.db")
    pages = bytearray(database.read_bytes())
    at = pages.rfind(b"sampler")
    pages[at - 600 : at + 600] = bytes(1200)
    damaged = Path("multirun/t/study.db")
    damaged.parent.mkdir()
    damaged.write_bytes(pages)
    with pytest.raises(
        UserError, match=r"cannot be copied to multirun/t/backups/.*(damaged|malformed)"
    ):
        main(["study.name=s", "study.dir=multirun/t"])
    assert not list(Path("multirun/t").glob("backups/*.db"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["to=multirun/s/study.db"], "to: 'multirun/s/study.db' given, allowed: a file that does"),
        (
            ["study.name=s", "storage=postgresql://me:secret@host/studies"],
            r"storage: 'postgresql://me:\*\*\*@host/studies' given, allowed: sqlite:///FILE; a se",
        ),
    ],
)
def test_what_cannot_be_copied_is_one_line(arguments: list[str], line: str, study: Study) -> None:
    with pytest.raises(UserError, match=line):
        main(arguments)
