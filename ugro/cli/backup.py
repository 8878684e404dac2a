"""Back up a study's record: ``ugro backup study.name=NAME``."""

from datetime import UTC, datetime
from pathlib import Path

from ugro.cli.study_lookup import study_arguments
from ugro.errors import UserError, fault
from ugro.study.backup import backup
from ugro.study.storage import file_of, redacted


def main(arguments: list[str]) -> None:
    """Copy the record of ``study.name=NAME`` into ``to=FILE``, by default its ``backups/``.

    Raises:
        UserError: there is no such study, it is on a server, or the file exists.
    """
    what = study_arguments(arguments, ["to"])
    database = file_of(what.storage)
    if database is None:
        allowed = "sqlite:///FILE; a server has a tool of its own: pg_dump"
        raise UserError(fault("storage", redacted(what.storage), allowed))
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = Path(what.more.get("to") or what.folder / "backups" / f"study-{now}.db")
    if copy.exists():
        raise UserError(fault("to", str(copy), "a file that does not exist yet"))
    trials = backup(database, copy, what.name)
    print(f"{copy}: {trials} trials, checked")
