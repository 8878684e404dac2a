"""Copy a study's SQLite record while it may be written, and check the copy."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from ugro.errors import UserError
from ugro.study.storage import BUSY_SECONDS

COUNT = "SELECT count(*) FROM trials JOIN studies USING (study_id) WHERE study_name = ?"


def backup(database: Path, copy: Path, name: str) -> int:
    """Copy a database of SQLite consistently, whoever writes it meanwhile, and check the copy.

    A copy that is there is whole: it gets its name last.

    Args:
        database: of the study
        copy: a new file
        name: the study's

    Returns:
        the trials in the copy

    Raises:
        UserError: the database is damaged, the disk is full.
    """
    copy.parent.mkdir(parents=True, exist_ok=True)
    draft = copy.with_name(f"{copy.name}.draft")
    draft.unlink(missing_ok=True)
    source = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    try:
        with closing(source), closing(sqlite3.connect(draft)) as target:
            [before] = source.execute(COUNT, [name]).fetchone()
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file that needs no other beside it
            [found] = target.execute("PRAGMA integrity_check").fetchone()
            [trials] = target.execute(COUNT, [name]).fetchone()
    except sqlite3.DatabaseError as error:
        draft.unlink(missing_ok=True)
        raise UserError(f"{database} cannot be copied to {copy}: {error}") from error
    if found != "ok" or trials < before:
        draft.unlink()
        raise UserError(f"{database} cannot be copied to {copy}, it is damaged: {found}")
    os.replace(draft, copy)
    return int(trials)
