"""Where is kept what must outlive the machine? In a folder of a cloud, or of a mounted disk.

pyarrow reaches them; its documentation says which URIs and which variables of the environment it
takes: https://arrow.apache.org/docs/python/filesystems.html
"""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ugro.errors import UserError, fault
from ugro.paths import is_writable
from ugro.retries import one_line, retrying

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

KEY = "study.artifacts"
SCHEMES = ("s3", "gs", "file")
CHECK_SECONDS = 20.0  # to answer at the beginning of a study
MISTAKES = (FileNotFoundError, NotADirectoryError, PermissionError)  # waiting mends none of them
DRAFT = ".draft"  # ends the name of a file that is being written


def faults(uri: str | None) -> list[str]:
    """What is wrong with the URI, a line each; nothing is connected to.

    Args:
        uri: as configured; None: nothing is kept elsewhere
    """
    if uri is None:
        return []
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        allowed = "no keys in the URI: the environment has them, as AWS_SECRET_ACCESS_KEY"
        return [fault(KEY, f"{parts.scheme}://...", allowed)]
    if not uri.startswith("/") and parts.scheme not in SCHEMES:
        allowed = f"an absolute path or {', '.join(f'{one}://' for one in SCHEMES)}"
        return [fault(KEY, uri, allowed)]
    return []


class Folder:
    """A folder in a file system of any kind; nothing is there until something is put into it.

    Args:
        uri: ``s3://bucket/path``, ``gs://bucket/path`` or an absolute path
        parts: names of folders below it
    """

    def __init__(self, uri: str, *parts: str) -> None:
        from pyarrow import fs

        filesystem, path = fs.FileSystem.from_uri(uri)
        self._filesystem: FileSystem = filesystem
        self._path = "/".join([path.rstrip("/"), *parts])
        self._has_folders = isinstance(filesystem, fs.LocalFileSystem)

    def names(self) -> list[str]:
        """Of all files in it that are whole, with the names of folders between."""
        from pyarrow import fs

        selected = fs.FileSelector(self._path, recursive=True, allow_not_found=True)
        files = [one.path for one in self._filesystem.get_file_info(selected) if one.is_file]
        return sorted(one.removeprefix(f"{self._path}/") for one in files if not _is_draft(one))

    def put(self, file: Path, name: str) -> None:
        """Copy a file there; it is never seen half-written, as in a bucket."""
        path = f"{self._path}/{name}"
        if not self._has_folders:
            self._copy(file, path)
            return
        folder, _, last = path.rpartition("/")
        self._filesystem.create_dir(folder, recursive=True)
        draft = f"{folder}/.{last}.{uuid.uuid4().hex}{DRAFT}"
        try:
            self._copy(file, draft)
            self._filesystem.move(draft, path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def _copy(self, file: Path, path: str) -> None:
        from pyarrow import fs

        fs.copy_files(
            str(file),
            path,
            source_filesystem=fs.LocalFileSystem(),
            destination_filesystem=self._filesystem,
        )

    def get(self, name: str, file: Path) -> None:
        """Copy a file from there."""
        from pyarrow import fs

        file.parent.mkdir(parents=True, exist_ok=True)
        fs.copy_files(
            f"{self._path}/{name}",
            str(file),
            source_filesystem=self._filesystem,
            destination_filesystem=fs.LocalFileSystem(),
        )

    def delete(self, name: str) -> None:
        """Delete a file."""
        self._filesystem.delete_file(f"{self._path}/{name}")

    def put_all(self, folder: Path, names: list[str]) -> None:
        """Copy files of a folder there, retrying; what has gone meanwhile is left out."""
        for name in names:
            if (folder / name).is_file():
                retrying(is_outage, f"{name} cannot be copied to {KEY}")(
                    self.put, folder / name, name
                )


def _is_draft(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(DRAFT)


def is_outage(error: BaseException) -> bool:
    """Whether it may be over the next time; pyarrow raises OSError for all that a cloud says."""
    return isinstance(error, OSError) and not isinstance(error, MISTAKES)


def check(uri: str | None, name: str) -> None:
    """Write a file there and delete it: a mistake shows before anything is trained.

    Raises:
        UserError: it cannot be written.
    """
    if uri is None:
        return
    try:
        folder = Folder(uri, name)
        patience = retrying(is_outage, f"{KEY} cannot be written", CHECK_SECONDS)
        patience(folder.put, Path(__file__), ".writable")
        folder.delete(".writable")
    except (OSError, ValueError) as error:
        allowed = f"a place that can be written ({one_line(error)})"
        raise UserError(fault(KEY, uri, allowed)) from error


def reachable(uri: str, name: str) -> str:
    """Say that it can be written, and leave no folder there.

    Raises:
        UserError: it cannot.
    """
    wrong = faults(uri)
    if wrong:
        raise UserError(wrong[0])
    if uri.startswith(("/", "file://")):
        if not is_writable(Path(uri.removeprefix("file://"))):
            raise UserError(fault(KEY, uri, "a folder that can be written"))
        return f"{uri} can be written"
    check(uri, name)
    return f"{uri} answers and can be written"
