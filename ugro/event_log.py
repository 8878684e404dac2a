"""How are events kept in a file? ``events.jsonl``: a JSON object a line, written and read here."""

import getpass
import json
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from ugro.ending import Ending
from ugro.events import Event, TrialReported
from ugro.report import Report


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


def cut_off(path: Path) -> list[int]:
    """The numbers, from 1, of the lines that are no whole event."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as lines:
        return [at for at, line in enumerate(lines, 1) if line.strip() and not list(_whole([line]))]


def reports_in(path: Path) -> Iterator[tuple[int, Report, Ending | None]]:
    """The reports of a log, oldest first, each with its trial's number and the answer to it."""
    for said in read(path):
        if said["event"] == TrialReported.__name__:
            stop = said["stop"] and Ending(said["stop"])
            yield said["number"], Report.from_dict(said), stop


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
