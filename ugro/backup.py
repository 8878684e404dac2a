"""How is a study's record copied while it is written? ``python -m ugro.backup study.name=NAME``."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ugro.commands import asked, run
from ugro.errors import UserError, fault
from ugro.record.storage import BUSY_SECONDS, file_of, masked

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


def main(arguments: list[str]) -> None:
    """Copy the record of ``study.name=NAME`` into ``to=FILE``, by default its ``backups/``.

    Raises:
        UserError: there is no such study, it is on a server, or the file exists.
    """
    what = asked(arguments, ["to"])
    database = file_of(what.storage)
    if database is None:
        allowed = "sqlite:///FILE; a server has a tool of its own: pg_dump"
        raise UserError(fault("storage", masked(what.storage), allowed))
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = Path(what.more.get("to") or what.folder / "backups" / f"study-{now}.db")
    if copy.exists():
        raise UserError(fault("to", str(copy), "a file that does not exist yet"))
    trials = backup(database, copy, what.name)
    print(f"{copy}: {trials} trials, checked")


if __name__ == "__main__":
    run(main)
