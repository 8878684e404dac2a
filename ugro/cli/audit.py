"""Print what happened in a study, and check it by its record: ``ugro audit``."""

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ugro.cli.study_lookup import study_arguments
from ugro.errors import UserError, fault
from ugro.events.event_log import cut_off, read
from ugro.paths import EVENTS
from ugro.study.consistency import disagreements

SHOWN_OTHERWISE = ("event", "utc", "by", "time", "number")


def main(arguments: list[str]) -> None:
    """Print the log of ``study.name=NAME`` readably and check that it agrees with the study.

    Exits with 1 where the two disagree.

    Raises:
        UserError: there is no such study, or it has no log.
    """
    what = study_arguments(arguments)
    study, path = what.study(), what.folder / EVENTS
    if not path.exists():
        raise UserError(fault("study.name", what.name, f"a study with a log {path}"))
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
    for one in found:
        print(f"Disagreement: {one}", file=sys.stderr)
    sys.exit(1)


def lines(events: list[dict[str, Any]]) -> Iterator[str]:
    """An event a line: when by this machine's clock, who, which trial, what."""
    for said in events:
        when = datetime.fromisoformat(said["utc"]).astimezone()
        trial = f"trial {said['number']}" if "number" in said else "study"
        more = {key: value for key, value in said.items() if key not in SHOWN_OTHERWISE}
        shown = f"{when:%Y-%m-%d %H:%M:%S}  {said['by']}  {trial}  {said['event']}  {_shown(more)}"
        yield shown.rstrip()


def _shown(said: Mapping[str, Any]) -> str:
    flat: dict[str, Any] = {}
    for key, value in said.items():
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
