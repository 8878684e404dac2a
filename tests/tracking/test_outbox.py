import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.observers.scripted_study import first_session, second_session, write
from ugro.tracking.outbox import Outbox, count_pending, study_id
from ugro.tracking.updates import RunUpdate, StudyFile


class Scripted:
    """Tracker that records what it receives and fails or loses its runs on request."""

    name = "scripted"
    view_hint = "here"

    def __init__(self, where: str = "a", keeps_open: bool = False) -> None:
        self.where = where
        self.runs: dict[str, str] = {}
        self.open_runs: list[int] = []
        self.received: list[RunUpdate] = []
        self.files: list[StudyFile] = []
        self.is_down = self.has_lost_runs = False
        self._keeps_open = keeps_open

    def open(self, study: str) -> bool:
        self._fail()
        known, self.has_lost_runs = not self.has_lost_runs, False
        return known

    def send(self, updates: Sequence[RunUpdate]) -> None:
        self._fail()
        self.received += updates
        for update in updates:
            self.runs[str(update.trial)] = f"run {update.trial}"
            if self._keeps_open and update.trial is not None:
                ended = update.ended is not None
                self.open_runs = [n for n in self.open_runs if n != update.trial]
                self.open_runs += [] if ended else [update.trial]

    def keep(self, files: Sequence[StudyFile]) -> None:
        self._fail()
        self.files += files

    def close(self) -> None:
        pass

    def _fail(self) -> None:
        if self.is_down:
            raise ConnectionError("as scripted")

    def curve(self, trial: int, name: str = "eval_loss") -> list[float]:
        own = [update for update in self.received if update.trial == trial]
        points = [point for update in own for point in update.points]
        return [point.value for point in points if point.name == name and point.tokens is not None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of a study after its first session of 21 events."""
    write(tmp_path / "s", first_session(tmp_path / "s"))
    return tmp_path / "s"


def test_each_event_is_sent_once(folder: Path) -> None:
    tracker = Scripted()
    outbox = Outbox(folder, tracker)
    assert (outbox.send(), outbox.send()) == (21, 0)
    write(folder, second_session(folder))
    assert count_pending(folder, "scripted", "a") == 8
    assert (outbox.send(), outbox.send()) == (8, 0)
    assert tracker.curve(0) == [4.0, 3.5, 3.25]
    assert tracker.curve(3) == [4.0, 3.0, 2.75]
    assert count_pending(folder, "scripted", "a") == 0


def test_another_process_continues_after_the_sent_events(folder: Path) -> None:
    Outbox(folder, Scripted()).send()
    write(folder, second_session(folder))
    tracker = Scripted()
    assert Outbox(folder, tracker).send() == 8
    assert tracker.runs["3"] == "run 3"  # kept from the earlier process
    assert tracker.curve(3) == [2.75]
    best = [point.value for point in tracker.received[0].points if point.name == "best/eval_loss"]
    assert best == [2.75]


def test_events_that_a_tracker_rejected_are_sent_when_it_is_back(folder: Path) -> None:
    tracker = Scripted()
    outbox = Outbox(folder, tracker)
    tracker.is_down = True
    for _ in range(3):
        with pytest.raises(ConnectionError, match="as scripted"):
            outbox.send()
    assert count_pending(folder, "scripted", "a") == 21
    tracker.is_down = False
    assert outbox.send() == 21
    tracker.is_down = True
    write(folder, second_session(folder))
    with pytest.raises(ConnectionError, match="as scripted"):
        outbox.send()
    tracker.is_down = False
    assert outbox.send() == 8
    assert tracker.curve(3) == [4.0, 3.0, 2.75]


def test_a_tracker_that_lost_the_study_gets_all_events(folder: Path) -> None:
    tracker = Scripted()
    outbox = Outbox(folder, tracker)
    outbox.send()
    tracker.is_down, tracker.received = True, []
    write(folder, second_session(folder))
    with pytest.raises(ConnectionError, match="as scripted"):
        outbox.send()
    tracker.is_down, tracker.has_lost_runs = False, True
    assert outbox.send() == 29
    assert tracker.curve(0) == [4.0, 3.5, 3.25]


def test_a_new_place_gets_all_events(folder: Path) -> None:
    Outbox(folder, Scripted("a")).send()
    tracker = Scripted("b")
    assert Outbox(folder, tracker).send() == 21
    assert tracker.curve(0) == [4.0, 3.5, 3.25]


def test_open_runs_of_a_dead_process_are_sent_again_from_the_start(
    folder: Path,
) -> None:
    open_trial = first_session(folder)[:-2]  # trial 3 runs
    (folder / "events.jsonl").unlink()
    write(folder, open_trial)
    Outbox(folder, Scripted(keeps_open=True)).send()
    assert json.loads((folder / "tracking" / "scripted.json").read_text())["open_runs"] == [3]
    tracker = Scripted(keeps_open=True)
    assert Outbox(folder, tracker).send() == 0
    assert {update.trial for update in tracker.received} == {3}
    assert tracker.curve(3) == [4.0, 3.0]


def test_an_incomplete_line_is_sent_once_it_is_complete(folder: Path) -> None:
    log = folder / "events.jsonl"
    complete = log.read_bytes()
    cut = complete.rindex(b"\n", 0, -1) + 20
    log.write_bytes(complete[:cut])
    outbox = Outbox(folder, Scripted())
    assert outbox.send() == 20
    log.write_bytes(complete)
    assert outbox.send() == 1


def test_lines_that_are_no_events_are_skipped(folder: Path) -> None:
    with (folder / "events.jsonl").open("a") as log:
        log.write('{"event": "TrialTeleported", "number": 1}\nnonsense\n{"number": 3}\n')
    assert Outbox(folder, Scripted()).send() == 21


def test_new_and_changed_files_of_the_study_are_sent(folder: Path) -> None:
    tracker = Scripted()
    outbox = Outbox(folder, tracker)
    outbox.send()
    outbox.send_files()
    assert tracker.files == []
    for name in ("trials.csv", "analysis/report.html", "trials/0000/adapter/adapter.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    outbox.send_files()
    outbox.send_files()
    sent = [(file.folder, file.path.name) for file in tracker.files]
    assert sent == [
        ("", "trials.csv"),
        ("analysis", "report.html"),
        ("best_adapter", "adapter.safetensors"),  # trial 0 is the best
    ]
    (folder / "trials.csv").write_text("12")
    outbox.send_files()
    assert [file.path.name for file in tracker.files[3:]] == ["trials.csv"]


def test_a_study_without_a_log_has_nothing_to_send(tmp_path: Path) -> None:
    assert study_id(tmp_path) is None
    assert Outbox(tmp_path, Scripted()).send() == 0


def test_studies_of_the_same_name_have_different_ids(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write(tmp_path / name, first_session(tmp_path / name))
    assert study_id(tmp_path / "first") == study_id(tmp_path / "first")
    assert study_id(tmp_path / "first") != study_id(tmp_path / "second")
