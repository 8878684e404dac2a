"""Write and read ``events.jsonl``, the event log: one JSON object per line."""

import getpass
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from ugro.events.events import Event, SchedulerEvent, TrialReported
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report


def as_line(event: Event) -> str:
    """Serialise an event as JSON: name, UTC time, process, then its fields."""
    record = as_dict(event)
    utc = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds")
    return json.dumps(
        {"event": record.pop("event"), "utc": utc, "by": _process(), **record},
        default=_serialisable,
    )


def as_dict(event: Event) -> dict[str, Any]:
    """Return the event's name, time and fields; the fields of a report are flattened."""
    values = {_key(each.name): getattr(event, each.name) for each in fields(event)}
    if isinstance(event, TrialReported):
        values |= {**event.report.as_dict(), "time": event.time}
        del values["report"]
    return {"event": type(event).__name__, "time": values.pop("time"), **values}


def as_event(record: Mapping[str, Any]) -> Event | None:
    """Return the event of a dictionary from :func:`as_dict`; None for an unknown event.

    Fields that an earlier version did not write keep their defaults.
    """
    kind = _KINDS.get(record["event"])
    if kind is None:
        return None
    plain = {
        each.name: record[_key(each.name)] for each in fields(kind) if _key(each.name) in record
    }
    plain |= {key: tuple(value) for key, value in plain.items() if isinstance(value, list)}
    plain |= {key: Outcome(plain[key]) for key in ("outcome", "stop") if plain.get(key)}
    if kind is TrialReported:
        plain["report"] = Report.from_dict(record)
    return kind(**plain)


class Follower:
    """Read events that other processes append to a log.

    Events that the log holds at construction are skipped.

    Args:
        path: of the log
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield events appended since the last call, except those of this process."""
        if not self._path.exists() or self._path.stat().st_size <= self._at:
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            complete, ends, _ = file.read().rpartition(b"\n")
        self._at += len(complete) + len(ends)
        own = _process()
        for record in _parse(complete.decode(errors="replace").splitlines()):
            if record["by"] != own:
                yield record


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a log, oldest first; truncated lines are skipped."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield from _parse(lines)


def read_from(path: Path, at: int) -> Iterator[tuple[int, Event]]:
    """Yield events after byte ``at``, each with the offset of its end.

    An incomplete last line is left for a later call; lines that are no event of this version are
    skipped.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(at)
        for line in file:
            if not line.endswith(b"\n"):
                return
            at += len(line)
            for record in _parse([line.decode(errors="replace")]):
                if (event := as_event(record)) is not None:
                    yield at, event


def cut_off(path: Path) -> list[int]:
    """Return the numbers, from 1, of the truncated lines."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as lines:
        return [at for at, line in enumerate(lines, 1) if line.strip() and not list(_parse([line]))]


def scheduler_events(records: Iterable[Mapping[str, Any]]) -> Iterator[SchedulerEvent]:
    """Yield the events that a trial scheduler learns from."""
    for record in records:
        if record["event"] in _OF_SCHEDULERS:
            event = as_event(record)
            assert isinstance(event, SchedulerEvent)
            yield event


_OF_SCHEDULERS = {kind.__name__ for kind in get_args(SchedulerEvent)}
_KINDS = {kind.__name__: kind for kind in Event.__subclasses__()}
_KEYS = {"outcome": "ending"}  # fields whose key in the file differs


def _key(field: str) -> str:
    return _KEYS.get(field, field)


def _parse(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "event" in record:
            yield record


def _process() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}:{os.getpid()}"


def _serialisable(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    return str(value)
