"""How a study was run: its command, code, machine, search space and configuration."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from omegaconf import OmegaConf

from ugro.analysis.tables import Tables
from ugro.events.events import IMPORTED_FROM
from ugro.formatting import counted, data_lines, duration
from ugro.redaction import redacted
from ugro.shell import train_command
from ugro.space.search_space import described


@dataclass(frozen=True)
class HowRun:
    """What it takes to run a study again.

    Attributes:
        command: empty where it is unknown
        facts: names and values of its provenance
        space: searched keys and their ranges or choices
        configuration: as YAML; empty where it is unknown
    """

    command: str
    facts: tuple[tuple[str, str], ...]
    space: tuple[tuple[str, str], ...]
    configuration: str


def how_run(tables: Tables) -> HowRun:
    """Collect how a study was run from its event log."""
    command = (
        shlex.join([*train_command(sweep=True), *tables.overrides]) if tables.overrides else ""
    )
    return HowRun(
        command=redacted(command),
        facts=tuple((name, redacted(value)) for name, value in _facts(tables)),
        space=tuple((key, described(over)) for key, over in tables.searched.items()),
        configuration=redacted(_yaml(tables.configuration)) if tables.configuration else "",
    )


def utc(seconds: float) -> str:
    """Format a Unix time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _facts(tables: Tables) -> Iterator[tuple[str, str]]:
    given = dict(tables.provenance)
    if commit := given.pop("git_commit", ""):
        changed = given.pop("git_dirty", "")
        yield "git commit", f"{commit}{_state(changed)}"
    for session in tables.sessions.itertuples():
        lasted = duration(session.ended - session.began)
        when = f"from {utc(session.began)}, {lasted}"
        if IMPORTED_FROM in given:  # the process that imported the trials did not run them
            yield "trials run", when
        else:
            yield "driver", f"{session.by or 'unknown'}, {when}"
    if len(tables.slots):
        yield "slots", ", then ".join(_changes(tables.slots["slots"]))
    if tables.model:
        yield "sampler", tables.model
    yield from given.items()
    if tables.data:
        for line in data_lines(tables.data):
            yield "data", line


def _state(changed: str) -> str:
    if not changed.isdigit():
        return ""
    if int(changed) == 0:
        return " (nothing changed since)"
    return f" and changes in {counted(int(changed), 'file')} that are not committed"


def _changes(counts: Any) -> Iterator[str]:
    before = None
    for count in counts:
        if count != before:
            yield f"{int(count):,}"
        before = count


def _yaml(configuration: Mapping[str, Any]) -> str:
    return OmegaConf.to_yaml(OmegaConf.create(dict(configuration)))  # interpolations as written
