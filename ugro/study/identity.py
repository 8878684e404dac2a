"""Match a study's folder with its record by a common id.

A renamed or copied folder, or one with a lost record, is adopted with its trials, or rejected.
Files of different trials are never mixed.
"""

import json
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ugro.errors import UserError, fault
from ugro.events.event_log import read as read_log
from ugro.events.events import StudyStarted, TrialAsked, TrialFinished
from ugro.events.outcome import Outcome
from ugro.objectives.objectives import Objectives
from ugro.paths import CONFIRM, DATABASE, EVENTS, IDENTITY, TRIALS, write_atomically
from ugro.study.event_replay import Replay, catch_up, replay, restore
from ugro.study.storage import file_of, is_shared, redacted_url, rename_study
from ugro.study.study import Study, create_or_continue, names, read

log = logging.getLogger(__name__)
BYTES = 8  # of an id


def open_record(name: str, url: str, folder: Path, objectives: Objectives) -> Study:
    """Open the study of this name in this folder: new, resumed or adopted.

    Args:
        name: of the study
        url: of the storage
        folder: of the study; it exists
        objectives: of a new study

    Raises:
        UserError: the folder's trials do not match the record, or have none.
    """
    holds_trials = _holds_trials(folder)
    is_unshared = holds_trials and not is_shared(url)
    replayed = replay(read_log(folder / EVENTS)) if is_unshared else Replay()
    if holds_trials and _is_own_database(folder, url):
        _move_stale_logs(folder / DATABASE)
    if holds_trials and name not in names(url):
        _adopt(name, url, folder, replayed)
    directions = [direction.name for direction in objectives.directions]
    study = create_or_continue(name, url, objectives.names, directions)
    _check_id(study, folder, holds_trials)
    if added := catch_up(study, replayed):
        log.warning("%d trials that only %s held were added to the record", added, EVENTS)
    _check_numbers(study, folder)
    return study


def _holds_trials(folder: Path) -> bool:
    return any(_numbers(folder)) or any(
        event["event"] == TrialAsked.__name__ for event in read_log(folder / EVENTS)
    )


def _numbers(folder: Path) -> Iterator[str]:
    """Yield the names of the trials' folders."""
    trials = folder / TRIALS
    return (trial.name for trial in trials.iterdir()) if trials.is_dir() else iter(())


def _is_own_database(folder: Path, url: str) -> bool:
    """Whether the record is the folder's own database."""
    database = file_of(url)
    return database is not None and database.resolve() == (folder / DATABASE).resolve()


def _move_stale_logs(database: Path) -> None:
    """Move SQLite's logs of a lost database aside, so that they cannot damage a new one."""
    for suffix in () if database.exists() else ("-wal", "-shm"):
        left = database.with_name(f"{database.name}{suffix}")
        if left.exists():
            left.rename(f"{left}.lost")


def _adopt(name: str, url: str, folder: Path, replayed: Replay) -> None:
    """Rename or rebuild a record for a folder with trials but without a record of this name."""
    own, held = folder / DATABASE, names(url)
    if not _is_own_database(folder, url):
        raise UserError(_record_elsewhere(name, url, folder, held))
    if len(held) == 1:
        _rename(held[0], name, folder)
    elif held:
        allowed = f"one of the studies in {own}: {', '.join(held)}"
        raise UserError(fault("study.name", name, allowed))
    else:
        _rebuild(name, url, folder, replayed)


def _rename(old: str, new: str, folder: Path) -> None:
    own = folder / DATABASE
    known, wanted = read(old, f"sqlite:///{own}").id, _id_of(folder)
    if known != wanted:
        raise UserError(_foreign_trials(new, folder))
    rename_study(own, old, new)
    confirmed = folder / CONFIRM / DATABASE
    if confirmed.exists():
        rename_study(confirmed, f"{old}/{CONFIRM}", f"{new}/{CONFIRM}")
    log.warning("Study %s was renamed to %s, after its folder", old, new)


def _rebuild(name: str, url: str, folder: Path, replayed: Replay) -> None:
    """Rebuild the record from the event log."""
    started = replayed.started
    if started is None or not replayed.is_complete:
        allowed = (
            f"another name, or this name after restoring its record: {folder} holds trials, "
            f"{DATABASE} is missing, and {EVENTS} is insufficient to rebuild it"
        )
        raise UserError(fault("study.name", name, allowed))
    log.warning("%s is missing: the record is rebuilt from %s", folder / DATABASE, EVENTS)
    study = create_or_continue(name, url, started["objectives"], started["directions"])
    study.identify(_id_of(folder) or new_id())
    catch_up(study, replayed)
    restore(study, replayed)


def _record_elsewhere(name: str, url: str, folder: Path, held: list[str]) -> str:
    """Return the error for a folder whose record is in a storage with other studies."""
    wanted = _id_of(folder)
    named = next((other for other in held if wanted and read(other, url).id == wanted), None)
    if named is not None:
        allowed = f"{named}, the study of the trials in {folder}"
        return fault("study.name", name, f"{allowed}: study.name={named} study.dir={folder}")
    storage = redacted_url(url)
    allowed = f"another name or study.dir: {folder} holds trials that {storage} has no record of"
    return fault("study.name", name, allowed)


def _check_id(study: Study, folder: Path, holds_trials: bool) -> None:
    """Give folder and record the same id, the folder first.

    Raises:
        UserError: they have different ids.
    """
    name, written = study.record.study_name, _read_identity(folder)
    folder_id, record_id = _id_of(folder), study.id
    # The driver was killed between both writes.
    half_done = not record_id and written.get("name") == name
    is_new = not record_id and not study.every()
    if holds_trials and folder_id != record_id and not (half_done or is_new):
        raise UserError(_foreign_trials(name, folder))
    now = {"id": record_id or folder_id or new_id(), "name": name}
    if written != now:
        write_identity(folder, **now)
    if now["id"] != record_id:
        study.identify(now["id"])


def _foreign_trials(name: str, folder: Path) -> str:
    allowed = f"another name or study.dir: the trials in {folder} are not those of its record"
    return fault("study.name", name, allowed)


def _check_numbers(study: Study, folder: Path) -> None:
    """Reject a record that would reuse the number of an ended trial.

    Raises:
        UserError: the folder holds such a trial.
    """
    ended = {
        event["number"]
        for event in read_log(folder / EVENTS)
        if event["event"] == TrialFinished.__name__ and event["ending"] != Outcome.INTERRUPTED.value
    }
    numbers = sorted(int(name) for name in _numbers(folder) if name.isdigit())
    # Read last, because other drivers record their trials before they create folders.
    recorded = len(study.every())
    if any(number >= recorded and number in ended for number in numbers):
        allowed = (
            f"another name, or this name with its complete record: the record has {recorded} "
            f"trials, {folder / TRIALS} holds trials up to {numbers[-1]}"
        )
        raise UserError(fault("study.name", study.record.study_name, allowed))


def _id_of(folder: Path) -> str:
    """Return the folder's id, from its log if its own file is lost; empty if there is none."""
    if own := _read_identity(folder).get("id"):
        return str(own)
    ids = [
        event.get("id")
        for event in read_log(folder / EVENTS)
        if event["event"] == StudyStarted.__name__
    ]
    return next((known for known in reversed(ids) if known), "")


def _read_identity(folder: Path) -> dict[str, Any]:
    """Return the content of the folder's id file; empty if it is missing or damaged."""
    try:
        content = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(content) if isinstance(content, dict) else {}


def write_identity(folder: Path, id: str, name: str) -> None:
    """Write a study's id and name into its folder."""
    write_atomically(folder / IDENTITY, json.dumps({"id": id, "name": name}))


def new_id() -> str:
    """Return a random id."""
    return secrets.token_hex(BYTES)
