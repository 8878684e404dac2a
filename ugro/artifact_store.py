"""Copies of artifacts in a bucket or on a mounted disk, kept beyond the life of the machine.

pyarrow provides the file systems; the URIs and environment variables that it accepts are listed in
https://arrow.apache.org/docs/python/filesystems.html
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
CHECK_SECONDS = 20.0  # limit for an answer before a study starts
PERMANENT_ERRORS = (FileNotFoundError, NotADirectoryError, PermissionError)  # retries do not help
DRAFT = ".draft"  # suffix of a file that is still being written


def faults(uri: str | None) -> list[str]:
    """List what is wrong with the URI, without connecting to it.

    Args:
        uri: ``study.artifacts``; None disables copies
    """
    if uri is None:
        return []
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        allowed = "no keys in the URI: set them in the environment, e.g. AWS_SECRET_ACCESS_KEY"
        return [fault(KEY, f"{parts.scheme}://...", allowed)]
    if not uri.startswith("/") and parts.scheme not in SCHEMES:
        allowed = f"an absolute path or {', '.join(f'{scheme}://' for scheme in SCHEMES)}"
        return [fault(KEY, uri, allowed)]
    return []


class Folder:
    """Folder on a local or remote file system, created with its first file.

    Args:
        uri: ``s3://bucket/path``, ``gs://bucket/path`` or an absolute path
        parts: names of nested folders
    """

    def __init__(self, uri: str, *parts: str) -> None:
        from pyarrow import fs

        filesystem, path = fs.FileSystem.from_uri(uri)
        self._filesystem: FileSystem = filesystem
        self._path = "/".join([path.rstrip("/"), *parts])
        self._has_folders = isinstance(filesystem, fs.LocalFileSystem)

    def names(self) -> list[str]:
        """List the relative paths of all complete files, subfolders included."""
        from pyarrow import fs

        selected = fs.FileSelector(self._path, recursive=True, allow_not_found=True)
        paths = [info.path for info in self._filesystem.get_file_info(selected) if info.is_file]
        return sorted(path.removeprefix(f"{self._path}/") for path in paths if not _is_draft(path))

    def put(self, file: Path, name: str) -> None:
        """Upload a file atomically: readers never see a partial file."""
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
        """Download a file."""
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
        """Upload files of a local folder with retries; skip files deleted in the meantime."""
        for name in names:
            if (folder / name).is_file():
                retrying(is_outage, f"{name} cannot be copied to {KEY}")(
                    self.put, folder / name, name
                )


def _is_draft(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(DRAFT)


def is_outage(error: BaseException) -> bool:
    """Whether the error may be transient; pyarrow raises OSError for every answer of a cloud."""
    return isinstance(error, OSError) and not isinstance(error, PERMANENT_ERRORS)


def check(uri: str | None, name: str) -> None:
    """Write and delete a test file, so that mistakes surface before training.

    Raises:
        UserError: the location is not writable.
    """
    if uri is None:
        return
    try:
        folder = Folder(uri, name)
        retry = retrying(is_outage, f"{KEY} cannot be written", CHECK_SECONDS)
        retry(folder.put, Path(__file__), ".writable")
        folder.delete(".writable")
    except (OSError, ValueError) as error:
        allowed = f"a place that can be written ({one_line(error)})"
        raise UserError(fault(KEY, uri, allowed)) from error


def check_reachable(uri: str, name: str) -> str:
    """Check that the location is writable, leave nothing there and return a line that says so.

    Raises:
        UserError: the location is invalid or not writable.
    """
    if found := faults(uri):
        raise UserError(found[0])
    if uri.startswith(("/", "file://")):
        if not is_writable(Path(uri.removeprefix("file://"))):
            raise UserError(fault(KEY, uri, "a folder that can be written"))
        return f"{uri} can be written"
    check(uri, name)
    return f"{uri} answers and can be written"
