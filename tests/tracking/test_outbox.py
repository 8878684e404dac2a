import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.observers.scripted_study import first_session, second_session, write
from ugro.tracking.outbox import Outbox, left, study_id
from ugro.tracking.updates import Change, StudyFile


class Scripted:
    """A destination that keeps what it gets, and fails or forgets as told."""

    name = "scripted"
    look = "here"

    def __init__(self, where: str = "a", keeps_open: bool = False) -> None:
        self.where = where
        self.runs: dict[str, str] = {}
        self.open_runs: list[int] = []
        self.got: list[Change] = []
        self.files: list[StudyFile] = []
        self.is_down = self.has_forgotten = False
        self._keeps_open = keeps_open

    def open(self, study: str) -> bool:
        self._fail()
        known, self.has_forgotten = not self.has_forgotten, False
        return known

    def send(self, changes: Sequence[Change]) -> None:
        self._fail()
        self.got += changes
        for one in changes:
            self.runs[str(one.trial)] = f"run {one.trial}"
            if self._keeps_open and one.trial is not None:
                ended = one.ended is not None
                self.open_runs = [n for n in self.open_runs if n != one.trial]
                self.open_runs += [] if ended else [one.trial]

    def keep(self, files: Sequence[StudyFile]) -> None:
        self._fail()
        self.files += files

    def close(self) -> None:
        pass

    def _fail(self) -> None:
        if self.is_down:
            raise ConnectionError("as told")

    def curve(self, trial: int, name: str = "eval_loss") -> list[float]:
        own = [one for one in self.got if one.trial == trial]
        points = [point for one in own for point in one.points]
        return [point.value for point in points if point.name == name and point.tokens is not None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's, after its first session of 21 events."""
    write(tmp_path / "s", first_session(tmp_path / "s"))
    return tmp_path / "s"


def test_what_has_happened_is_sent_once_and_what_happens_then(folder: Path) -> None:
    there = Scripted()
    outbox = Outbox(folder, there)
    assert (outbox.send(), outbox.send()) == (21, 0)
    write(folder, second_session(folder))
    assert left(folder, "scripted", "a") == 8
    assert (outbox.send(), outbox.send()) == (8, 0)
    assert there.curve(0) == [4.0, 3.5, 3.25]
    assert there.curve(3) == [4.0, 3.0, 2.75]
    assert left(folder, "scripted", "a") == 0


def test_another_process_goes_on_where_one_was(folder: Path) -> None:
    Outbox(folder, Scripted()).send()
    write(folder, second_session(folder))
    there = Scripted()
    assert Outbox(folder, there).send() == 8
    assert there.runs["3"] == "run 3"  # as the one before called it
    assert there.curve(3) == [2.75]
    best = [one.value for one in there.got[0].points if one.name == "best/eval_loss"]
    assert best == [2.75]


def test_what_a_destination_did_not_take_is_sent_when_it_is_back(folder: Path) -> None:
    there = Scripted()
    outbox = Outbox(folder, there)
    there.is_down = True
    for _ in range(3):
        with pytest.raises(ConnectionError, match="as told"):
            outbox.send()
    assert left(folder, "scripted", "a") == 21
    there.is_down = False
    assert outbox.send() == 21
    there.is_down = True
    write(folder, second_session(folder))
    with pytest.raises(ConnectionError, match="as told"):
        outbox.send()
    there.is_down = False
    assert outbox.send() == 8
    assert there.curve(3) == [4.0, 3.0, 2.75]


def test_a_destination_that_has_forgotten_the_study_gets_all_of_it(folder: Path) -> None:
    there = Scripted()
    outbox = Outbox(folder, there)
    outbox.send()
    there.is_down, there.got = True, []
    write(folder, second_session(folder))
    with pytest.raises(ConnectionError, match="as told"):
        outbox.send()
    there.is_down, there.has_forgotten = False, True
    assert outbox.send() == 29
    assert there.curve(0) == [4.0, 3.5, 3.25]


def test_another_destination_gets_all_of_it(folder: Path) -> None:
    Outbox(folder, Scripted("a")).send()
    there = Scripted("b")
    assert Outbox(folder, there).send() == 21
    assert there.curve(0) == [4.0, 3.5, 3.25]


def test_runs_that_a_dead_process_had_open_are_sent_again_from_their_beginning(
    folder: Path,
) -> None:
    open_trial = first_session(folder)[:-2]  # trial 3 runs
    (folder / "events.jsonl").unlink()
    write(folder, open_trial)
    Outbox(folder, Scripted(keeps_open=True)).send()
    assert json.loads((folder / "tracking" / "scripted.json").read_text())["open_runs"] == [3]
    there = Scripted(keeps_open=True)
    assert Outbox(folder, there).send() == 0
    assert {one.trial for one in there.got} == {3}
    assert there.curve(3) == [4.0, 3.0]


def test_a_line_that_is_being_written_is_sent_when_it_is_whole(folder: Path) -> None:
    log = folder / "events.jsonl"
    whole = log.read_bytes()
    cut = whole.rindex(b"\n", 0, -1) + 20
    log.write_bytes(whole[:cut])
    outbox = Outbox(folder, Scripted())
    assert outbox.send() == 20
    log.write_bytes(whole)
    assert outbox.send() == 1


def test_lines_that_are_no_events_are_passed_over(folder: Path) -> None:
    with (folder / "events.jsonl").open("a") as log:
        log.write('{"event": "TrialTeleported", "number": 1}\nnonsense\n{"number": 3}\n')
    assert Outbox(folder, Scripted()).send() == 21


def test_the_studys_files_are_sent_when_there_are_new_ones(folder: Path) -> None:
    there = Scripted()
    outbox = Outbox(folder, there)
    outbox.send()
    outbox.send_files()
    assert there.files == []
    for name in ("trials.csv", "analysis/report.html", "trials/0000/adapter/adapter.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    outbox.send_files()
    outbox.send_files()
    sent = [(one.folder, one.path.name) for one in there.files]
    assert sent == [
        ("", "trials.csv"),
        ("analysis", "report.html"),
        ("best_adapter", "adapter.safetensors"),  # trial 0 is the best
    ]
    (folder / "trials.csv").write_text("12")
    outbox.send_files()
    assert [one.path.name for one in there.files[3:]] == ["trials.csv"]


def test_a_study_without_a_log_has_nothing_to_send(tmp_path: Path) -> None:
    assert study_id(tmp_path) is None
    assert Outbox(tmp_path, Scripted()).send() == 0


def test_studies_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write(tmp_path / name, first_session(tmp_path / name))
    assert study_id(tmp_path / "one") == study_id(tmp_path / "one")
    assert study_id(tmp_path / "one") != study_id(tmp_path / "other")
