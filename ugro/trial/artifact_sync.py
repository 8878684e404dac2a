"""FolderSync a trial's folder to ``study.artifacts``, so that it survives the loss of its machine.

Checkpoints are copied in a background thread, their seal last; deletions follow. A trial that
resumes on another machine first fetches its checkpoints.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from ugro.artifact_store import KEY, Folder, is_outage
from ugro.config import Config
from ugro.paths import CHECKPOINTS, GENERATIONS, GENERATIONS_OF_SET, METRICS, TRIALS
from ugro.retries import one_line, retrying
from ugro.trial.checkpoints import PREFIX, SEAL, is_complete, latest, step

log = logging.getLogger(__name__)
# Patterns of what a resumed trial needs beside its checkpoints
BESIDES = (METRICS, GENERATIONS, GENERATIONS_OF_SET.format("*"))


@contextmanager
def synced_folder(folder: Path, config: Config, training_hash: str) -> Iterator[Callable[[], None]]:
    """Yield a function to call after checkpoints have changed.

    Args:
        folder: folder of the trial; receives the copied checkpoints first
        config: configuration of the trial; nothing is copied without ``study.artifacts``
        training_hash: hash of the training, from :func:`hash_training`

    Raises:
        OSError: the remaining files could not be copied within the retry limit.
    """
    uri = config.study.artifacts
    if uri is None:
        yield lambda: None
        return
    sync = FolderSync(folder, Folder(uri, config.study.name, TRIALS, folder.name))
    sync.fetch(training_hash)
    try:
        yield sync.changed
    except BaseException:
        try:
            sync.close()
        except OSError as error:  # raise the trial's own error instead
            log.warning("The trial's files could not be copied to %s: %s", KEY, one_line(error))
        raise
    sync.close()


class FolderSync:
    """Copy of a trial's folder in the artifact store.

    Args:
        folder: local folder
        there: remote folder
    """

    def __init__(self, folder: Path, remote: Folder) -> None:
        self._folder = folder
        self._remote = remote
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync")
        self._waiting: Future[None] | None = None

    def fetch(self, training_hash: str) -> None:
        """Fetch complete checkpoints if they are newer than the local checkpoints."""
        names = retrying(is_outage, f"{KEY} cannot be read")(self._remote.names)
        sealed = [name for name in names if _is_seal(name)]
        here = latest(self._folder / CHECKPOINTS, training_hash)
        farthest = max((step(Path(name).parent) for name in sealed), default=-1)
        if farthest <= (-1 if here is None else step(here)):
            return
        log.info("checkpoints up to step %d are fetched from %s", farthest, KEY)
        for seal in sealed:
            self._fetch_checkpoint(seal, names, training_hash)
        for name in filter(_is_beside, names):
            self._get(name)

    def _fetch_checkpoint(self, seal: str, names: list[str], training_hash: str) -> None:
        """Replace a local checkpoint by the remote one; delete the remote copy if unusable."""
        here = self._folder / Path(seal).parent
        if is_complete(here, training_hash):
            return
        shutil.rmtree(here, ignore_errors=True)  # the seal refuses extra files
        inside = [name for name in names if name.startswith(seal.removesuffix(SEAL))]
        # Fetch the seal last: an interrupted fetch must not look complete.
        for name in sorted(inside, key=_is_seal):
            self._get(name)
        if not is_complete(here, training_hash):
            shutil.rmtree(here)
            self._delete(seal)

    def _get(self, name: str) -> None:
        retrying(is_outage, f"{name} cannot be copied from {KEY}")(
            self._remote.get, name, self._folder / name
        )

    def _delete(self, name: str) -> None:
        retrying(is_outage, f"{name} cannot be deleted from {KEY}")(self._remote.delete, name)

    def changed(self) -> None:
        """Schedule a copy of the checkpoints; calls while a copy is queued have no effect."""
        if self._waiting is None or self._waiting.running() or self._waiting.done():
            self._waiting = self._thread.submit(self._copy_checkpoints)

    def close(self) -> None:
        """Copy all remaining files and wait until done."""
        self._thread.shutdown()
        self._copy_checkpoints()
        every = (path.relative_to(self._folder) for path in self._folder.rglob("*"))
        others = [str(path) for path in every if path.parts[0] != CHECKPOINTS]
        self._remote.put_all(self._folder, sorted(others))

    def _copy_checkpoints(self) -> None:
        remote = retrying(is_outage, f"{KEY} cannot be read")(self._remote.names)
        here = [
            str(path.relative_to(self._folder))
            for seal in self._folder.glob(f"{CHECKPOINTS}/{PREFIX}*/{SEAL}")
            for path in seal.parent.rglob("*")
            if path.is_file()
        ]
        complete = tuple(name.removesuffix(SEAL) for name in remote if _is_seal(name))
        copied = [name for name in here if not name.startswith(complete)]
        try:
            besides = sorted(filter(_is_beside, os.listdir(self._folder)))
            self._remote.put_all(self._folder, [*besides, *sorted(copied, key=_is_seal)])
        except FileNotFoundError:
            return  # deleted meanwhile; a later call copies its successor
        deleted = [name for name in remote if name.startswith(CHECKPOINTS) and name not in here]
        # Delete the seal first: a partly deleted checkpoint is incomplete.
        for name in sorted(deleted, key=_is_seal, reverse=True):
            self._delete(name)


def _is_beside(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in BESIDES)


def _is_seal(name: str) -> bool:
    return Path(name).name == SEAL
