"""Back up a study's record: ``ugro backup study.name=NAME``."""

from datetime import UTC, datetime
from pathlib import Path

from ugro.cli.arguments import parse
from ugro.cli.study_lookup import find_study
from ugro.errors import UserError, fault
from ugro.study.backup import backup
from ugro.study.storage import file_of, redacted_url


def main(arguments: list[str]) -> None:
    """Copy a study's database and check the copy.

    Args:
        arguments: the study, and ``to=FILE``; by default a new file in its ``backups/``

    Raises:
        UserError: there is no such study, it is on a server, or the file exists.
    """
    given = parse("backup", arguments)
    where = find_study(given)
    database = file_of(where.storage)
    if database is None:
        allowed = "sqlite:///FILE; a server has a tool of its own: pg_dump"
        raise UserError(fault("storage", redacted_url(where.storage), allowed))
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = Path(given.get("to") or where.folder / "backups" / f"study-{now}.db")
    if copy.exists():
        raise UserError(fault("to", str(copy), "a file that does not exist yet"))
    trials = backup(database, copy, where.name)
    print(f"{copy}: {trials} trials, checked")
