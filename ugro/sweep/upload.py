"""Copies of a study's files in ``study.artifacts``; each trial copies its own folder."""

import tempfile
from pathlib import Path

from ugro.artifact_store import KEY, Folder, is_outage
from ugro.paths import CHECKPOINTS, CONFIRM, DATABASE, TRIALS, trial_subdir
from ugro.retries import retrying
from ugro.study.backup import backup
from ugro.study.confirmation import confirmation_record
from ugro.study.storage import is_shared
from ugro.study.study import Study
from ugro.study.trial_record import recorded_outcome
from ugro.sweep.drivers import FOLDER as DRIVERS

NOT_COPIED = (TRIALS, "backups", DRIVERS, CONFIRM)


def upload(study: Study, folder: Path, storage: str, uri: str) -> None:
    """Copy the files and the database of a study and of its confirmation.

    Checkpoints of pruned trials are deleted from the copy.

    Args:
        study: a finished or stopped study
        folder: its folder
        storage: URL of its storage; a database server is not copied
        uri: ``study.artifacts``

    Raises:
        OSError: the destination remained unreachable.
    """
    name = study.record.study_name
    copy = retrying(is_outage, f"{KEY} cannot be reached")(Folder, uri, name)
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")))
    names = [str(path) for path in paths if path.parts[0] not in NOT_COPIED]
    copy.put_all(folder, [file for file in names if not file.startswith(DATABASE)])
    database = folder / DATABASE
    if not is_shared(storage) and database.exists():
        with tempfile.TemporaryDirectory() as draft:
            backup(database, Path(draft) / database.name, name)
            copy.put_all(Path(draft), [database.name])
    _delete_pruned_checkpoints(study, copy)
    if (confirmation := confirmation_record(study, folder)) is not None:
        upload(confirmation, folder / CONFIRM, storage, uri)


def _delete_pruned_checkpoints(study: Study, copy: Folder) -> None:
    outcomes = {trial.number: recorded_outcome(trial) for trial in study.of_all_groups()}
    pruned = [number for number, outcome in outcomes.items() if outcome and outcome.is_pruned]
    checkpoints = tuple(f"{trial_subdir(number)}/{CHECKPOINTS}/" for number in pruned)
    for name in retrying(is_outage, f"{KEY} cannot be read")(copy.names):
        if name.startswith(checkpoints):
            retrying(is_outage, f"{name} cannot be deleted from {KEY}")(copy.delete, name)
