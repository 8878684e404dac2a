"""Which studies has this process begun or gone on with? Their results are its own to write."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Hydra's callbacks look here, before anything heavy is imported
    from ugro.record.study import Study

_BEGUN: "dict[Path, Study]" = {}


def begin(folder: Path, study: "Study") -> None:
    """From now on the study in that folder is this process' own.

    What was refused before, as another driver is at it or something is not as it was, is not.
    """
    _BEGUN[folder.resolve()] = study


def begun(folder: Path) -> "Study | None":
    """The study in that folder; None unless this process has begun it."""
    return _BEGUN.get(folder.resolve())
