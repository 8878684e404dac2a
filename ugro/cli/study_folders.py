"""The studies in ``multirun/``. Imports nothing heavy: shell completion lists them."""

from pathlib import Path

from ugro.paths import DATABASE, EVENTS

STUDIES = Path("multirun")


def study_folders(file: str = DATABASE) -> list[Path]:
    """Return the folders of all studies, the latest one first.

    Args:
        file: that a study has
    """
    folders = [path.parent for path in STUDIES.glob(f"*/{file}")]
    return sorted(folders, key=_last_written, reverse=True)


def _last_written(folder: Path) -> float:
    """Return when a study was last written, in seconds since the epoch.

    SQLite writes to the log beside the database first; a reader leaves that log empty.
    """
    files = (folder / DATABASE, folder / f"{DATABASE}-wal", folder / EVENTS)
    written = (path.stat() for path in files if path.exists())
    return max((stat.st_mtime for stat in written if stat.st_size), default=0.0)
