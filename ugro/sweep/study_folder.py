"""Creation of a study's folder and checks that it is writable."""

import os
import tempfile
from pathlib import Path

from ugro.errors import UserError, fault
from ugro.paths import DATABASE, EVENTS, TRIALS

RESERVED_BYTES = 160  # for trials/00000/checkpoints/checkpoint-1000000/NAME, with a margin
SHOWN = 60  # characters shown of each end of a path that is too long
WRITTEN = (EVENTS, DATABASE, TRIALS, ".")


def prepare_folder(folder: Path) -> Path:
    """Create the folder if needed, check that it is writable and return it.

    Raises:
        UserError: the folder is not writable, or paths in it would be too long.
    """
    _check_length(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(_not_writable(folder, error.strerror)) from error
    for name in WRITTEN:
        if (folder / name).exists() and not os.access(folder / name, os.W_OK):
            raise UserError(_not_writable(folder, f"{name} is read-only"))
    return folder


def _check_length(folder: Path) -> None:
    """Refuse paths that the operating system would refuse in the middle of the first trial."""
    limit = _max_path_bytes() - RESERVED_BYTES
    if len(os.fsencode(folder.absolute())) > limit:
        allowed = f"a path of at most {limit} bytes, as there are files below it"
        raise UserError(fault("study.dir", _shortened(folder), allowed))


def _max_path_bytes() -> int:
    return os.pathconf("/", "PC_PATH_MAX") if hasattr(os, "pathconf") else 260


def _not_writable(folder: Path, reason: str | None) -> str:
    return fault("study.dir", _shortened(folder), f"a folder that can be written ({reason})")


def _shortened(folder: Path) -> str:
    text = str(folder)
    return text if len(text) <= 4 * SHOWN else f"{text[:SHOWN]}...{text[-SHOWN:]}"
