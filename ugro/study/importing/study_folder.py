"""Write imported trials as a study's folder: its record, its id and its event log."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ugro.errors import UserError, fault
from ugro.events.event_log import as_line
from ugro.events.events import (
    IMPORTED_FROM,
    Event,
    StudyFinished,
    StudyStarted,
    TrialAsked,
    TrialFinished,
)
from ugro.events.outcome import Outcome
from ugro.paths import DATABASE, EVENTS
from ugro.study.backup import backup
from ugro.study.identity import new_id, write_identity
from ugro.study.importing.foreign_study import ForeignStudy
from ugro.study.study import create_or_continue
from ugro.study.trial_record import metrics, recorded_outcome, source, withdrawn


def write_study(foreign: ForeignStudy, name: str, folder: Path) -> None:
    """Write a study's folder; it appears complete or not at all.

    Trials keep their numbers. Numbers of trials that are not imported are taken by withdrawn
    trials.

    Args:
        foreign: the trials
        name: of the new study
        folder: of the new study; it does not exist

    Raises:
        UserError: the folder exists, or cannot be written.
    """
    if folder.exists():
        raise UserError(fault("as", name, f"a new name: {folder} exists"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=folder.parent) as draft:
            ready = Path(draft) / "ready"
            ready.mkdir()
            own = new_id()
            _record(foreign, name, own, Path(draft) / DATABASE)
            backup(Path(draft) / DATABASE, ready / DATABASE, name)
            write_identity(ready, own, name)
            lines = (f"{as_line(event)}\n" for event in _events(foreign, name, own, folder))
            (ready / EVENTS).write_text("".join(lines), encoding="utf-8")
            os.rename(ready, folder)  # refuses a folder that another import has just made
    except OSError as error:
        allowed = f"a folder {folder} that can be written ({error.strerror})"
        raise UserError(fault("as", name, allowed)) from error


def _record(foreign: ForeignStudy, name: str, own: str, database: Path) -> None:
    study = create_or_continue(
        name, f"sqlite:///{database}", foreign.objectives, foreign.directions
    )
    study.identify(own)
    study.mark_imported(foreign.origin)
    for number in range(max(foreign.trials, default=-1) + 1):
        study.record.add_trial(foreign.trials.get(number) or withdrawn())


def _events(foreign: ForeignStudy, name: str, own: str, folder: Path) -> Iterator[Event]:
    """Yield the events that are known of another program's trials, at their times."""
    found = sorted(_trial_events(foreign), key=lambda event: event.time)  # stable
    began, ended = (found[0].time, found[-1].time) if found else (time.time(), time.time())
    yield StudyStarted(
        name,
        str(folder),
        len(foreign.trials),
        len(foreign.trials),
        foreign.objectives,
        foreign.directions,
        provenance={IMPORTED_FROM: foreign.origin},
        id=own,
        time=began,
    )
    yield from found
    yield StudyFinished(f"imported: {foreign.origin}", time=ended)


def _trial_events(foreign: ForeignStudy) -> Iterator[Event]:
    for number, trial in sorted(foreign.trials.items()):
        outcome = recorded_outcome(trial)
        assert isinstance(outcome, Outcome)
        assert trial.datetime_start is not None
        assert trial.datetime_complete is not None
        began, ended = trial.datetime_start.timestamp(), trial.datetime_complete.timestamp()
        yield TrialAsked(number, trial.params, source(trial), time=began)
        yield TrialFinished(
            number,
            outcome,
            tuple(trial.values) if outcome.has_value else (),
            metrics(trial),
            trial.user_attrs.get("error", ""),
            time=ended,
        )
