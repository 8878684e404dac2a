"""Which drivers work on a study? Each holds a lock in the study's folder for as long as it lives.

The system lets go of a lock with its process, however that ends: nobody waits for a time to pass.
"""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ugro.errors import UserError, fault

if TYPE_CHECKING:  # Hydra's callbacks look here, before anything heavy is imported
    from ugro.study.study import Study

FOLDER = ".drivers"


class Drivers:
    """The drivers of a study; this one is ``own``.

    Args:
        folder: the study's, which they share
    """

    def __init__(self, folder: Path) -> None:
        self._study = folder
        self._folder = folder / FOLDER
        self.own = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"

    @contextmanager
    def joined(self, alone: bool) -> Iterator[None]:
        """Within the block this driver is alive.

        Args:
            alone: whether the storage has one writer only

        Raises:
            UserError: there is another driver, though this one must be alone.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_of(self.own))
        with self.one_at_a_time():
            others = [path.stem for path in self._folder.glob("*.lock") if self.is_alive(path.stem)]
            if alone and others:
                allowed = f"another name, or a storage for several drivers: {others[0]} is at it"
                raise UserError(fault("study.name", self._study.name, allowed))
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
            self._lock_of(self.own).unlink(missing_ok=True)

    def is_alive(self, name: str) -> bool:
        """Whether the driver of that name holds its lock."""
        path = self._lock_of(name)
        if not path.exists():
            return False
        lock = FileLock(path)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        lock.release()
        path.unlink(missing_ok=True)  # nobody takes the name of one that has died
        return False

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Within the block no other driver is in such a block."""
        with FileLock(self._folder / "door"):
            yield

    def _lock_of(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


_BEGUN: "dict[Path, Study]" = {}


def begin(folder: Path, study: "Study") -> None:
    """From now on the study in that folder is this process' own.

    What was refused before, as another driver is at it or something is not as it was, is not.
    """
    _BEGUN[folder.resolve()] = study


def active_study(folder: Path) -> "Study | None":
    """Return the study in that folder if this process is driving it, else None."""
    return _BEGUN.get(folder.resolve())
