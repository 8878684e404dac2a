"""Copy a study's own files to ``study.artifacts``; each trial copies its folder."""

import tempfile
from pathlib import Path

from ugro.artifact_store import KEY, Folder, is_outage
from ugro.paths import CHECKPOINTS, CONFIRM, DATABASE, TRIALS, trial_subdir
from ugro.retries import retrying
from ugro.study.backup import backup
from ugro.study.confirmed import confirmation_record
from ugro.study.storage import is_shared
from ugro.study.study import Study, ending
from ugro.sweep.drivers import FOLDER as DRIVERS

NOT_COPIED = (TRIALS, "backups", DRIVERS, CONFIRM)


def upload(study: Study, folder: Path, storage: str, uri: str) -> None:
    """Copy the study's files and its record, and those of the study that confirms it.

    What pruned trials have left there is deleted.

    Args:
        study: finished or stopped
        folder: its own
        storage: where its record is; a server's is not copied
        uri: ``study.artifacts``

    Raises:
        OSError: they could not be copied for a long time.
    """
    name = study.record.study_name
    there = retrying(is_outage, f"{KEY} cannot be reached")(Folder, uri, name)
    every = (path.relative_to(folder) for path in sorted(folder.rglob("*")))
    own = [str(path) for path in every if path.parts[0] not in NOT_COPIED]
    there.put_all(folder, [path for path in own if not path.startswith(DATABASE)])
    database = folder / DATABASE
    if not is_shared(storage) and database.exists():
        with tempfile.TemporaryDirectory() as draft:
            backup(database, Path(draft) / database.name, name)
            there.put_all(Path(draft), [database.name])
    _delete_needless(study, there)
    if (again := confirmation_record(study, folder)) is not None:
        upload(again, folder / CONFIRM, storage, uri)


def _delete_needless(study: Study, there: Folder) -> None:
    pruned = [one.number for one in study.of_all_groups() if (how := ending(one)) and how.is_pruned]
    checkpoints = tuple(f"{trial_subdir(number)}/{CHECKPOINTS}/" for number in pruned)
    for name in retrying(is_outage, f"{KEY} cannot be read")(there.names):
        if name.startswith(checkpoints):
            retrying(is_outage, f"{name} cannot be deleted from {KEY}")(there.delete, name)
