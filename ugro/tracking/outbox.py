"""What of a study has a tracker got, and what not yet? The audit log is the outbox."""

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
from ugro.tracking.updates import Change, StudyFile, Tracker

BATCH = 500  # events


@dataclass
class Sent:
    """How far a destination has come.

    Attributes:
        where: it is; what was sent elsewhere does not count
        at: it has got what is before this byte of the log
        runs: what it calls the runs
        open_runs: trials of which it may have lost a part
        files: which versions of the study's files it has
    """

    where: str
    at: int = 0
    runs: dict[str, str] = field(default_factory=dict)
    open_runs: list[int] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Batch:
    """What is sent next."""

    changes: list[Change]
    at: int  # the byte of the log after it
    events: int


class Outbox:
    """Sends what a destination has not got yet; nobody else must, meanwhile.

    Args:
        folder: the study's
        destination: where to
    """

    def __init__(self, folder: Path, destination: Tracker) -> None:
        self._folder = folder
        self._log = folder / EVENTS
        self._destination = destination
        self._state = state_file(folder, destination.name)
        self._sent = load(self._state, destination.where)
        destination.runs = self._sent.runs
        self._runs = Runs(folder)
        self._pending: _Batch | None = None
        self._is_open = False
        self._remembers = not self._sent.at  # else an earlier process sent what is before

    def send(self) -> int:
        """Send what has happened; how many events that were.

        Raises:
            Exception: whatever the destination raises; what it has got until then is noted.
        """
        study = study_id(self._folder)
        if study is None:
            return 0
        count = 0
        try:
            self._open(study)
            while self._pending or self._next():
                assert self._pending is not None
                self._destination.send(self._pending.changes)
                count += self._pending.events
                self._sent.at, self._pending = self._pending.at, None
                self._note()
        except Exception:
            self._is_open = False
            raise
        return count

    def send_files(self) -> None:
        """Send the study's results, once there are any that it has not got.

        Raises:
            Exception: whatever the destination raises.
        """
        best = self._runs.standing.best()
        new = {
            one: version
            for one in study_files(self._folder, best)
            if self._sent.files.get(f"{one.folder}/{one.path.name}") != (version := _version(one))
        }
        if new and self._is_open:
            self._destination.keep(list(new))
            named = {f"{one.folder}/{one.path.name}": version for one, version in new.items()}
            self._sent.files |= named
            self._note()

    def close(self) -> None:
        """End contact, after all was sent."""
        self._destination.close()
        self._note()

    def _open(self, study: str) -> None:
        if self._is_open:
            return
        if not self._destination.open(study):
            self._sent = Sent(self._destination.where)
            self._destination.runs = self._sent.runs
            self._runs, self._pending = Runs(self._folder), None
        self._is_open = True

    def _next(self) -> bool:
        """Get a batch ready; False where there is none."""
        if not self._remembers:
            self._remembers = True
            before = (event for at, event in read_from(self._log, 0) if at <= self._sent.at)
            again = self._runs.changes(before, of=set(self._sent.open_runs))
            self._pending = _Batch(again, self._sent.at, 0)
            return True
        batch = list(islice(read_from(self._log, self._sent.at), BATCH))
        if batch:
            changes = self._runs.changes(event for _, event in batch)
            self._pending = _Batch(changes, batch[-1][0], len(batch))
        return bool(batch)

    def _note(self) -> None:
        self._sent.open_runs = sorted(self._destination.open_runs)
        write_atomically(self._state, json.dumps(asdict(self._sent), indent=1))


def state_file(folder: Path, name: str) -> Path:
    """Where it is kept how far a destination has come."""
    return folder / TRACKING / f"{name}.json"


def load(path: Path, where: str) -> Sent:
    """How far the destination has come; at the beginning where it is another one."""
    try:
        sent = Sent(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return Sent(where)
    return sent if sent.where == where else Sent(where)


def left(folder: Path, name: str, where: str) -> int:
    """How many events a destination has not got."""
    sent = load(state_file(folder, name), where)
    return sum(1 for _ in read_from(folder / EVENTS, sent.at))


def study_id(folder: Path) -> str | None:
    """What tells a study from all others of its name: its very first event, as it was written."""
    try:
        with (folder / EVENTS).open("rb") as file:
            first = file.readline()
    except FileNotFoundError:
        return None
    return hashlib.sha256(first).hexdigest()[:16] if first.endswith(b"\n") else None


def study_files(folder: Path, best: int | None) -> Iterator[StudyFile]:
    """What a study's run keeps: results, pictures, report, the best adapter."""
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


def _version(one: StudyFile) -> str:
    told = one.path.stat()
    return f"{one.path} {told.st_size} {told.st_mtime_ns}"
