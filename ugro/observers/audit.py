"""What happened, in order? ``events.jsonl``: every event, a JSON object a line."""

import json
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

from ugro.events import Event, TrialReported


class AuditLog:
    """Appends each event and flushes it, so that nothing that happened is lost with the driver."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def observe(self, event: Event) -> None:
        """Write one line."""
        self._file.write(json.dumps(as_dict(event), default=_plain) + "\n")
        self._file.flush()


def as_dict(event: Event) -> dict[str, Any]:
    """The event's name, its time, then what it says; a report's numbers in one level."""
    said = {one.name: getattr(event, one.name) for one in fields(event)}
    if isinstance(event, TrialReported):
        said |= {**event.report.as_dict(), "time": event.time}
        del said["report"]
    return {"event": type(event).__name__, "time": said.pop("time"), **said}


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    return str(value)
