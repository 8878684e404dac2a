"""Registry of the drivers of a study: each holds a lock in the study's folder while it lives.

The operating system releases a lock when its process ends, so a dead driver is detected at once.
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

if TYPE_CHECKING:  # Hydra's callbacks import this module before anything heavy
    from ugro.study.study import Study

FOLDER = ".drivers"


class Drivers:
    """Drivers of a study.

    Args:
        folder: the study's folder, shared by all drivers

    Attributes:
        own: name of this driver
    """

    def __init__(self, folder: Path) -> None:
        self._study = folder
        self._folder = folder / FOLDER
        self.own = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"

    @contextmanager
    def join(self, alone: bool) -> Iterator[None]:
        """Register this driver within the block.

        Args:
            alone: whether the storage supports only one writer

        Raises:
            UserError: another driver is alive although ``alone`` is set.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_of(self.own))
        with self.exclusive():
            others = [path.stem for path in self._folder.glob("*.lock") if self.is_alive(path.stem)]
            if alone and others:
                allowed = (
                    f"another name, or a storage for several drivers: {others[0]} is running it"
                )
                raise UserError(fault("study.name", self._study.name, allowed))
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
            self._lock_of(self.own).unlink(missing_ok=True)

    def is_alive(self, name: str) -> bool:
        """Whether the driver with this name holds its lock."""
        path = self._lock_of(name)
        if not path.exists():
            return False
        lock = FileLock(path)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        lock.release()
        path.unlink(missing_ok=True)  # names of dead drivers are never reused
        return False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Exclude other drivers from such blocks while in the block."""
        with FileLock(self._folder / "door"):
            yield

    def _lock_of(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


_ACTIVE: "dict[Path, Study]" = {}


def register_study(folder: Path, study: "Study") -> None:
    """Register the study in the folder as driven by this process, after all checks have passed."""
    _ACTIVE[folder.resolve()] = study


def active_study(folder: Path) -> "Study | None":
    """Return the study in the folder if this process drives it, else None."""
    return _ACTIVE.get(folder.resolve())
