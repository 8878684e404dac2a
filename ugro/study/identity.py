"""A study's folder and its record belong together: both have the same id.

A folder that was renamed or copied, or whose record was lost, is taken up as it is, or refused. A
trial's files are never those of another one.
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
from ugro.study.storage import file_of, is_shared, redacted, rename_study
from ugro.study.study import Study, create_or_continue, names, read

log = logging.getLogger(__name__)
BYTES = 8  # of an id


def opened(name: str, url: str, folder: Path, objectives: Objectives) -> Study:
    """The study of this name in this folder: new, as it was left, or taken up.

    Args:
        name: the study's
        url: of the storage
        folder: the study's own; it exists
        objectives: of a new study

    Raises:
        UserError: the folder's trials are not those of the record, or have none.
    """
    holds_trials = _holds_trials(folder)
    only_ours = holds_trials and not is_shared(url)
    told = replay(read_log(folder / EVENTS)) if only_ours else Replay()
    if holds_trials and _is_in(folder, url):
        _set_aside_what_is_left(folder / DATABASE)
    if holds_trials and name not in names(url):
        _take_up(name, url, folder, told)
    directions = [one.name for one in objectives.directions]
    study = create_or_continue(name, url, objectives.names, directions)
    _check_id(study, folder, holds_trials)
    if added := catch_up(study, told):
        log.warning("%d trials that only %s had are in the record again", added, EVENTS)
    _check_numbers(study, folder)
    return study


def _holds_trials(folder: Path) -> bool:
    return any(_numbers(folder)) or any(
        said["event"] == TrialAsked.__name__ for said in read_log(folder / EVENTS)
    )


def _numbers(folder: Path) -> Iterator[str]:
    """Names of its trials' folders."""
    trials = folder / TRIALS
    return (one.name for one in trials.iterdir()) if trials.is_dir() else iter(())


def _is_in(folder: Path, url: str) -> bool:
    """Whether the record is the folder's own database."""
    database = file_of(url)
    return database is not None and database.resolve() == (folder / DATABASE).resolve()


def _set_aside_what_is_left(database: Path) -> None:
    """Keep SQLite's log of a database that is gone from damaging a new one."""
    for suffix in () if database.exists() else ("-wal", "-shm"):
        left = database.with_name(f"{database.name}{suffix}")
        if left.exists():
            left.rename(f"{left}.lost")


def _take_up(name: str, url: str, folder: Path, told: Replay) -> None:
    """Have a record of this name for a folder whose trials have none."""
    own, held = folder / DATABASE, names(url)
    if not _is_in(folder, url):
        raise UserError(_elsewhere(name, url, folder, held))
    if len(held) == 1:
        _rename(held[0], name, folder)
    elif held:
        allowed = f"one of the studies in {own}: {', '.join(held)}"
        raise UserError(fault("study.name", name, allowed))
    else:
        _rebuild(name, url, folder, told)


def _rename(old: str, new: str, folder: Path) -> None:
    own = folder / DATABASE
    known, wanted = read(old, f"sqlite:///{own}").id, _id_of(folder)
    if known != wanted:
        raise UserError(_of_another(new, folder))
    rename_study(own, old, new)
    confirmed = folder / CONFIRM / DATABASE
    if confirmed.exists():
        rename_study(confirmed, f"{old}/{CONFIRM}", f"{new}/{CONFIRM}")
    log.warning("Study %s is called %s from now on, as its folder is", old, new)


def _rebuild(name: str, url: str, folder: Path, told: Replay) -> None:
    """Make the record anew from the event log."""
    begun = told.begun
    if begun is None or not told.is_whole:
        allowed = (
            f"another name, or this one when its record is back: {folder} holds trials, {DATABASE} "
            f"is gone, and {EVENTS} does not tell enough to make it anew"
        )
        raise UserError(fault("study.name", name, allowed))
    log.warning("%s is gone: the record is made anew from %s", folder / DATABASE, EVENTS)
    study = create_or_continue(name, url, begun["objectives"], begun["directions"])
    study.identify(_id_of(folder) or _new_id())
    catch_up(study, told)
    restore(study, told)


def _elsewhere(name: str, url: str, folder: Path, held: list[str]) -> str:
    """One line for a folder whose record is in a storage that others use, too."""
    wanted = _id_of(folder)
    named = next((one for one in held if wanted and read(one, url).id == wanted), None)
    if named is not None:
        allowed = f"{named}, as the trials in {folder} are those of that study"
        return fault("study.name", name, f"{allowed}: study.name={named} study.dir={folder}")
    there = redacted(url)
    allowed = f"another name or study.dir: {folder} holds trials, and {there} has no record of them"
    return fault("study.name", name, allowed)


def _check_id(study: Study, folder: Path, holds_trials: bool) -> None:
    """Have the same id in both; the folder's is written first.

    Raises:
        UserError: they have different ones.
    """
    name, written = study.record.study_name, _written(folder)
    here, there = _id_of(folder), study.id
    half_done = not there and written.get("name") == name  # it was killed before the record had it
    is_new = not there and not study.every()
    if holds_trials and here != there and not (half_done or is_new):
        raise UserError(_of_another(name, folder))
    now = {"id": there or here or _new_id(), "name": name}
    if written != now:
        write_atomically(folder / IDENTITY, json.dumps(now))
    if now["id"] != there:
        study.identify(now["id"])


def _of_another(name: str, folder: Path) -> str:
    allowed = f"another name or study.dir: the trials in {folder} are not those of its record"
    return fault("study.name", name, allowed)


def _check_numbers(study: Study, folder: Path) -> None:
    """Refuse a record that would give out the number of a trial that has ended.

    Raises:
        UserError: there is such a trial's folder.
    """
    ended = {
        said["number"]
        for said in read_log(folder / EVENTS)
        if said["event"] == TrialFinished.__name__ and said["ending"] != Outcome.INTERRUPTED.value
    }
    there = sorted(int(name) for name in _numbers(folder) if name.isdigit())
    begun = len(study.every())  # read last: another driver's trials are in the record first
    if any(number >= begun and number in ended for number in there):
        allowed = (
            f"another name, or this one with its whole record: that has {begun} trials, "
            f"{folder / TRIALS} those up to {there[-1]}"
        )
        raise UserError(fault("study.name", study.record.study_name, allowed))


def _id_of(folder: Path) -> str:
    """The folder's id, from its log where its own file is lost; empty where it has none."""
    if own := _written(folder).get("id"):
        return str(own)
    said = [
        one.get("id") for one in read_log(folder / EVENTS) if one["event"] == StudyStarted.__name__
    ]
    return next((one for one in reversed(said) if one), "")


def _written(folder: Path) -> dict[str, Any]:
    """What the folder's file says; nothing where it is not there, or torn."""
    try:
        said = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(said) if isinstance(said, dict) else {}


def _new_id() -> str:
    return secrets.token_hex(BYTES)
