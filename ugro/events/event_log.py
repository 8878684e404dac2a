"""How are events kept in a file? ``events.jsonl``: a JSON object a line, written and read here."""

import getpass
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from ugro.events.events import Event, TrialReported
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report


def as_line(event: Event) -> str:
    """The event as JSON: what, when (UTC), by whom, then what it says."""
    said = as_dict(event)
    utc = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds")
    return json.dumps(
        {"event": said.pop("event"), "utc": utc, "by": _who(), **said}, default=_plain
    )


def as_dict(event: Event) -> dict[str, Any]:
    """The event's name, its time, then what it says; a report's numbers in one level."""
    said = {one.name: getattr(event, one.name) for one in fields(event)}
    if isinstance(event, TrialReported):
        said |= {**event.report.as_dict(), "time": event.time}
        del said["report"]
    return {"event": type(event).__name__, "time": said.pop("time"), **said}


def as_event(said: Mapping[str, Any]) -> Event | None:
    """What :func:`as_dict` was given; None where there is no such event in this version.

    What an earlier version did not write yet is left at its default.
    """
    kind = _KINDS.get(said["event"])
    if kind is None:
        return None
    plain = {one.name: said[one.name] for one in fields(kind) if one.name in said}
    plain |= {key: tuple(value) for key, value in plain.items() if isinstance(value, list)}
    plain |= {key: Outcome(plain[key]) for key in ("ending", "stop") if plain.get(key)}
    if kind is TrialReported:
        plain["report"] = Report.from_dict(said)
    return kind(**plain)


class Follower:
    """What other processes write into a log from now on.

    Args:
        path: of the log
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def events(self) -> Iterator[dict[str, Any]]:
        """The events that were added since the last call, this process' own left out."""
        if not self._path.exists() or self._path.stat().st_size <= self._at:
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole, ends, _ = file.read().rpartition(b"\n")
        self._at += len(whole) + len(ends)
        own = _who()
        for said in _whole(whole.decode(errors="replace").splitlines()):
            if said["by"] != own:
                yield said

    def reports(self) -> Iterator[tuple[int, Report]]:
        """The reports among them."""
        for said in self.events():
            if said["event"] == TrialReported.__name__:
                yield said["number"], Report.from_dict(said)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, oldest first; lines that were cut off are left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield from _whole(lines)


def read_from(path: Path, at: int) -> Iterator[tuple[int, Event]]:
    """The events after a byte, each with the byte after it; a line that has no end yet is left.

    What is no event, or none of this version, is passed over.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(at)
        for line in file:
            if not line.endswith(b"\n"):
                return
            at += len(line)
            for said in _whole([line.decode(errors="replace")]):
                if (event := as_event(said)) is not None:
                    yield at, event


def cut_off(path: Path) -> list[int]:
    """The numbers, from 1, of the lines that are no whole event."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as lines:
        return [at for at, line in enumerate(lines, 1) if line.strip() and not list(_whole([line]))]


def reports_in(path: Path) -> Iterator[tuple[int, Report, Outcome | None]]:
    """The reports of a log, oldest first, each with its trial's number and the answer to it."""
    for said in read(path):
        if said["event"] == TrialReported.__name__:
            stop = said["stop"] and Outcome(said["stop"])
            yield said["number"], Report.from_dict(said), stop


_KINDS = {kind.__name__: kind for kind in Event.__subclasses__()}


def _whole(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and "event" in said:
            yield said


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}:{os.getpid()}"


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    return str(value)
