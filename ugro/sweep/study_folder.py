"""Make a study's folder, and see that everything it is to hold can be written there."""

import os
import tempfile
from pathlib import Path

from ugro.errors import UserError, fault
from ugro.paths import DATABASE, EVENTS, TRIALS

LONGEST_BELOW = 160  # bytes of a path: trials/00000/checkpoints/checkpoint-1000000/NAME, and room
SHOWN = 60  # characters of a path that is too long
WRITTEN = (EVENTS, DATABASE, TRIALS, ".")


def made(folder: Path) -> Path:
    """Make the folder, or go on in one that is there.

    Raises:
        UserError: it cannot be written, or paths in it would be too long.
    """
    _check_length(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(_said(folder, error.strerror)) from error
    for name in WRITTEN:
        if (folder / name).exists() and not os.access(folder / name, os.W_OK):
            raise UserError(_said(folder, f"{name} is read-only"))
    return folder


def _check_length(folder: Path) -> None:
    """Refuse what the system would refuse in the middle of the first trial."""
    most = _longest_path() - LONGEST_BELOW
    if len(os.fsencode(folder.absolute())) > most:
        allowed = f"a path of at most {most} bytes, as there are files below it"
        raise UserError(fault("study.dir", _shortened(folder), allowed))


def _longest_path() -> int:
    return os.pathconf("/", "PC_PATH_MAX") if hasattr(os, "pathconf") else 260


def _said(folder: Path, why: str | None) -> str:
    return fault("study.dir", _shortened(folder), f"a folder that can be written ({why})")


def _shortened(folder: Path) -> str:
    text = str(folder)
    return text if len(text) <= 4 * SHOWN else f"{text[:SHOWN]}...{text[-SHOWN:]}"
