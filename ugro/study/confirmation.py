"""Find the study that confirms the best trials of another study."""

from pathlib import Path

from ugro.paths import CONFIRM, DATABASE
from ugro.study.study import Study, read


def confirmation_record(study: Study, folder: Path) -> Study | None:
    """Return the study that retrained the best trials; None if there is none.

    It has a database of its own, or shares the storage of a study in a shared storage.

    Args:
        study: whose best trials were retrained
        folder: the study's
    """
    name, database = f"{study.record.study_name}/{CONFIRM}", folder / CONFIRM / DATABASE
    try:
        if database.exists():
            return read(name, f"sqlite:///{database}")
        return study.beside(name)
    except KeyError:
        return None
