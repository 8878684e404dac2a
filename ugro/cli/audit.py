"""Print a study's events and check them against its record: ``ugro audit``."""

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ugro.cli.arguments import parse
from ugro.cli.study_lookup import find_study
from ugro.errors import UserError, fault
from ugro.events.event_log import cut_off, read
from ugro.paths import EVENTS
from ugro.study.consistency import disagreements

IN_FRONT = ("event", "utc", "by", "time", "number")  # fields that each line begins with, or omits


def main(arguments: list[str]) -> None:
    """Print a study's audit log, an event a line, and check that it agrees with the study.

    Exit with 1 if the two disagree.

    Args:
        arguments: ``study.name=NAME``, ``study.dir=FOLDER``, ``storage=URL``

    Raises:
        UserError: there is no such study, or it has no log.
    """
    where = find_study(parse("audit", arguments))
    study, path = where.study(), where.folder / EVENTS
    if not path.exists():
        raise UserError(fault("study.name", where.name, f"a study with a log {path}"))
    events = list(read(path))
    for line in lines(events):
        print(line)
    torn = cut_off(path)
    for number in torn:
        print(f"Line {number} was cut off as its driver died or its disk was full.")
    found = list(disagreements(study, events, len(torn)))
    if not found:
        print(f"Log and study agree: {len(study.of_all_groups())} trials, {len(events)} events.")
        return
    for disagreement in found:
        print(f"Disagreement: {disagreement}", file=sys.stderr)
    sys.exit(1)


def lines(events: list[dict[str, Any]]) -> Iterator[str]:
    """Format each event as a line: local time, process, trial, event, fields."""
    for event in events:
        when = datetime.fromisoformat(event["utc"]).astimezone()
        trial = f"trial {event['number']}" if "number" in event else "study"
        fields = _fields({key: value for key, value in event.items() if key not in IN_FRONT})
        line = f"{when:%Y-%m-%d %H:%M:%S}  {event['by']}  {trial}  {event['event']}  {fields}"
        yield line.rstrip()


def _fields(event: Mapping[str, Any]) -> str:
    flat: dict[str, Any] = {}
    for key, value in event.items():
        if isinstance(value, Mapping):
            flat |= value
        elif value not in (None, "", []):
            flat[key] = value
    return " ".join(f"{key}={_value(value)}" for key, value in flat.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)
