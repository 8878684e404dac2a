"""Send events of the log that a tracker has not received; the event log is the outbox."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from ugro.events.event_log import read_from
from ugro.paths import (
    ADAPTER,
    ANALYSIS,
    BEST,
    EVENTS,
    TABLE,
    TRACKING,
    trial_folder,
    write_atomically,
)
from ugro.tracking.runs import Runs
from ugro.tracking.updates import RunUpdate, StudyFile, Tracker

BATCH = 500  # events


@dataclass
class Progress:
    """Events and files that a tracker has received.

    Attributes:
        where: place of the tracker; progress at another place does not count
        at: byte offset in the log up to which events were sent
        runs: the tracker's run ids
        open_runs: trials with runs that may be incomplete
        files: versions of the study's files that were sent, by name
    """

    where: str
    at: int = 0
    runs: dict[str, str] = field(default_factory=dict)
    open_runs: list[int] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Batch:
    """The next events to send."""

    updates: list[RunUpdate]
    at: int  # byte offset in the log after the batch
    events: int


class Outbox:
    """Send the pending events of a study; only one process may do so at a time.

    Args:
        folder: the study's
        tracker: the tracker
    """

    def __init__(self, folder: Path, tracker: Tracker) -> None:
        self._folder = folder
        self._log = folder / EVENTS
        self._tracker = tracker
        self._state = state_file(folder, tracker.name)
        self._progress = load(self._state, tracker.where)
        tracker.runs = self._progress.runs
        self._runs = Runs(folder)
        self._pending: _Batch | None = None
        self._is_open = False
        # Events before the offset were sent by an earlier process; their runs may be open.
        self._has_replayed = not self._progress.at

    def send(self) -> int:
        """Send the pending events and return their number.

        Raises:
            Exception: of the tracker; events sent before the error are recorded as sent.
        """
        study = study_id(self._folder)
        if study is None:
            return 0
        count = 0
        try:
            self._open(study)
            while self._pending or self._next():
                assert self._pending is not None
                self._tracker.send(self._pending.updates)
                count += self._pending.events
                self._progress.at, self._pending = self._pending.at, None
                self._save()
        except Exception:
            self._is_open = False
            raise
        return count

    def send_files(self) -> None:
        """Send the study's result files that are new or changed.

        Raises:
            Exception: of the tracker.
        """
        best = self._runs.state.best()
        new = {
            file: version
            for file in study_files(self._folder, best)
            if self._progress.files.get(_key(file)) != (version := _version(file))
        }
        if new and self._is_open:
            self._tracker.keep(list(new))
            self._progress.files |= {_key(file): version for file, version in new.items()}
            self._save()

    def close(self) -> None:
        """Disconnect after all events were sent."""
        self._tracker.close()
        self._save()

    def _open(self, study: str) -> None:
        if self._is_open:
            return
        if not self._tracker.open(study):
            self._progress = Progress(self._tracker.where)
            self._tracker.runs = self._progress.runs
            self._runs, self._pending = Runs(self._folder), None
        self._is_open = True

    def _next(self) -> bool:
        """Prepare a batch; return False if no events are pending."""
        if not self._has_replayed:
            self._has_replayed = True
            before = (event for at, event in read_from(self._log, 0) if at <= self._progress.at)
            replayed = self._runs.updates(before, of=set(self._progress.open_runs))
            self._pending = _Batch(replayed, self._progress.at, 0)
            return True
        batch = list(islice(read_from(self._log, self._progress.at), BATCH))
        if batch:
            updates = self._runs.updates(event for _, event in batch)
            self._pending = _Batch(updates, batch[-1][0], len(batch))
        return bool(batch)

    def _save(self) -> None:
        self._progress.open_runs = sorted(self._tracker.open_runs)
        write_atomically(self._state, json.dumps(asdict(self._progress), indent=1))


def state_file(folder: Path, name: str) -> Path:
    """Return the file that records what a tracker has received."""
    return folder / TRACKING / f"{name}.json"


def load(path: Path, where: str) -> Progress:
    """Load the progress of a tracker; it starts at zero for a new place."""
    try:
        sent = Progress(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return Progress(where)
    return sent if sent.where == where else Progress(where)


def count_pending(folder: Path, name: str, where: str) -> int:
    """Return the number of events that a tracker has not received."""
    sent = load(state_file(folder, name), where)
    return sum(1 for _ in read_from(folder / EVENTS, sent.at))


def study_id(folder: Path) -> str | None:
    """Return an id that is unique among studies of the same name: a hash of the first log line."""
    try:
        with (folder / EVENTS).open("rb") as file:
            first = file.readline()
    except FileNotFoundError:
        return None
    return hashlib.sha256(first).hexdigest()[:16] if first.endswith(b"\n") else None


def study_files(folder: Path, best: int | None) -> Iterator[StudyFile]:
    """Yield the study's files: results, figures, report and the best adapter."""
    for name in (TABLE, BEST):
        if (folder / name).is_file():
            yield StudyFile(folder / name, "")
    for path in sorted((folder / ANALYSIS).rglob("*")):
        if path.is_file():
            yield StudyFile(path, str(path.parent.relative_to(folder)))
    if best is not None:
        adapter = trial_folder(folder, best) / ADAPTER
        for path in sorted(adapter.glob("*")):
            yield StudyFile(path, "best_adapter")


def _key(file: StudyFile) -> str:
    return f"{file.folder}/{file.path.name}"


def _version(file: StudyFile) -> str:
    stat = file.path.stat()
    return f"{file.path} {stat.st_size} {stat.st_mtime_ns}"
