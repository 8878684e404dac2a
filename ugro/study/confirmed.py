"""Where is the record of a study's confirmation? A study that is named after it."""

from pathlib import Path

from ugro.paths import CONFIRM, DATABASE
from ugro.study.study import Study, read


def confirmation_record(study: Study, folder: Path) -> Study | None:
    """The study that trained the best again; None where there is none.

    It is in a database of its own, or where several studies share a storage in the same one.

    Args:
        study: whose best were trained again
        folder: the study's
    """
    name, database = f"{study.record.study_name}/{CONFIRM}", folder / CONFIRM / DATABASE
    try:
        if database.exists():
            return read(name, f"sqlite:///{database}")
        return study.beside(name)
    except KeyError:
        return None
