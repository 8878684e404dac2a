"""Copy a trial's files to a node that does not share the study's folder, and back.

The files travel as a tar archive, in chunks through the message queue, so neither a cloud nor a
shared disk is needed. Files on a lost node are lost; ``study.artifacts`` protects against that.
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
LOCK = ".worker"  # in a trial's folder; not copied


@dataclass(frozen=True)
class FolderSource:
    """The study's folder as the driver sees it.

    Args:
        path: absolute
        log_hash: of the first line of its event log; empty without a log
    """

    path: str
    log_hash: str

    @classmethod
    def of(cls, folder: str) -> "FolderSource":
        """Describe a folder on this machine."""
        path = os.path.abspath(folder)
        return cls(path, _hash_of_log(path))

    def is_shared(self) -> bool:
        """Whether this machine shares the folder, rather than one of the same name."""
        return os.path.isdir(self.path) and _hash_of_log(self.path) == self.log_hash

    def local_path(self) -> str:
        """Return the folder, or its substitute on a machine that does not share it."""
        if self.is_shared():
            return self.path
        name = sha256(f"{self.path}\n{self.log_hash}".encode()).hexdigest()[:16]
        return os.path.join(tempfile.gettempdir(), "ugro", name)


def _hash_of_log(folder: str) -> str:
    try:
        with open(os.path.join(folder, EVENTS), "rb") as log:
            return sha256(log.readline()).hexdigest()
    except FileNotFoundError:
        return ""


def archive_chunks(folder: Path, checkpoints: bool) -> Iterator[bytes]:
    """Yield the folder's files as a tar archive in chunks.

    Args:
        folder: of a trial
        checkpoints: whether to include them
    """
    excluded = {LOCK} if checkpoints else {LOCK, CHECKPOINTS}
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for path in sorted(folder.iterdir()):
                if path.name not in excluded:
                    archive.add(path, path.name)
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


class IncomingFiles:
    """An archive that arrives in chunks and is unpacked into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._draft = folder.with_name(f".{folder.name}.tar")
        self._draft.parent.mkdir(parents=True, exist_ok=True)
        self._draft.unlink(missing_ok=True)

    def add(self, chunk: bytes) -> None:
        """Append a chunk."""
        with self._draft.open("ab") as file:
            file.write(chunk)

    def unpack(self) -> None:
        """Unpack the complete archive; nothing happens without any chunk.

        Raises:
            tarfile.TarError: the archive is invalid or would write outside the folder.
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


def receive_files(folder: Path, chunks: Iterable[bytes]) -> None:
    """Unpack the driver's files of a resumed trial, unless this node has newer checkpoints."""
    if (folder / CHECKPOINTS).exists():
        return
    incoming = IncomingFiles(folder)
    for chunk in chunks:
        incoming.add(chunk)
    incoming.unpack()


def send_files(folder: Path, checkpoints: bool, send: Callable[[bytes], None]) -> None:
    """Send all files of a trial in chunks, then delete its folder.

    Args:
        folder: of the trial
        checkpoints: whether to send them
        send: sends a chunk
    """
    for chunk in archive_chunks(folder, checkpoints):
        send(chunk)
    shutil.rmtree(folder)
