"""Copy a trial's files to a node that does not see the study's folder, and back.

They travel as an archive, in chunks through the message queue: neither a cloud nor a shared disk is
needed. What a node has is lost with it; ``study.artifacts`` is for that.
"""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ugro.paths import CHECKPOINTS, EVENTS

CHUNK_BYTES = 4 * 2**20
LOCK = ".worker"  # in a trial's folder; the node's own


@dataclass(frozen=True)
class FolderSource:
    """The study's folder, as the driver has it.

    Args:
        path: absolute
        begins: how its event log does; empty where it has none
    """

    path: str
    begins: str

    @classmethod
    def of(cls, folder: str) -> "FolderSource":
        """The folder on this machine."""
        path = os.path.abspath(folder)
        return cls(path, _beginning(path))

    def is_here(self) -> bool:
        """Whether this machine sees the same folder, and not one of the same name."""
        return os.path.isdir(self.path) and _beginning(self.path) == self.begins

    def here(self) -> str:
        """The folder, or what stands for it on a machine that does not see it."""
        if self.is_here():
            return self.path
        known = sha256(f"{self.path}\n{self.begins}".encode()).hexdigest()[:16]
        return os.path.join(tempfile.gettempdir(), "ugro", known)


def _beginning(folder: str) -> str:
    try:
        with open(os.path.join(folder, EVENTS), "rb") as log:
            return sha256(log.readline()).hexdigest()
    except FileNotFoundError:
        return ""


def pieces(folder: Path, checkpoints: bool) -> Iterator[bytes]:
    """The folder's files as an archive, in pieces.

    Args:
        folder: a trial's
        checkpoints: whether they are to come along
    """
    left_out = {LOCK} if checkpoints else {LOCK, CHECKPOINTS}
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for path in sorted(folder.iterdir()):
                if path.name not in left_out:
                    archive.add(path, path.name)
        file.seek(0)
        while piece := file.read(CHUNK_BYTES):
            yield piece


class IncomingFiles:
    """An archive that arrives in pieces, to be unpacked into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._draft = folder.with_name(f".{folder.name}.tar")
        self._draft.parent.mkdir(parents=True, exist_ok=True)
        self._draft.unlink(missing_ok=True)

    def add(self, piece: bytes) -> None:
        """The next piece."""
        with self._draft.open("ab") as file:
            file.write(piece)

    def unpack(self) -> None:
        """All pieces are there; none at all is an empty folder.

        Raises:
            tarfile.TarError: it is no archive, or one that leads out of the folder.
        """
        if not self._draft.exists():
            return
        try:
            with tarfile.open(self._draft) as archive:
                archive.extractall(self._folder, filter="data")
        except tarfile.TarError:
            self._draft.unlink()
            raise
        self._draft.unlink()


def fetch(folder: Path, given: Iterable[bytes]) -> None:
    """Unpack what the driver has of a trial that goes on here; what is here already is newer."""
    if (folder / CHECKPOINTS).exists():
        return
    arriving = IncomingFiles(folder)
    for piece in given:
        arriving.add(piece)
    arriving.unpack()


def bring(folder: Path, checkpoints: bool, send: Callable[[bytes], None]) -> None:
    """Send all that a trial has left here, piece by piece; nothing of it stays.

    Args:
        folder: the trial's
        checkpoints: whether they are sent, too
        send: a piece
    """
    for piece in pieces(folder, checkpoints):
        send(piece)
    shutil.rmtree(folder)
