"""Back up the SQLite record of a running study and verify the copy."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from ugro.errors import UserError
from ugro.study.storage import BUSY_SECONDS

COUNT = "SELECT count(*) FROM trials JOIN studies USING (study_id) WHERE study_name = ?"


def backup(database: Path, copy: Path, name: str) -> int:
    """Copy a SQLite database consistently while other processes write, and verify the copy.

    The copy gets its final name last, so an existing copy is always complete.

    Args:
        database: of the study
        copy: path of the copy
        name: of the study

    Returns:
        Number of trials in the copy.

    Raises:
        UserError: the database is damaged or the disk is full.
    """
    copy.parent.mkdir(parents=True, exist_ok=True)
    draft = copy.with_name(f"{copy.name}.draft")
    draft.unlink(missing_ok=True)
    source = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    try:
        with closing(source), closing(sqlite3.connect(draft)) as target:
            [before] = source.execute(COUNT, [name]).fetchone()
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # a single file without a write-ahead log
            [result] = target.execute("PRAGMA integrity_check").fetchone()
            [trials] = target.execute(COUNT, [name]).fetchone()
    except sqlite3.DatabaseError as error:
        draft.unlink(missing_ok=True)
        raise UserError(f"{database} cannot be copied to {copy}: {error}") from error
    if result != "ok" or trials < before:
        draft.unlink()
        raise UserError(f"{database} cannot be copied to {copy}, it is damaged: {result}")
    os.replace(draft, copy)
    return int(trials)
