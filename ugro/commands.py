"""Which study does a command mean? ``study.name=NAME``; the latest one where nothing is said."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ugro.errors import UserError, fault
from ugro.files import DATABASE, EVENTS
from ugro.record.study import Study, read

STUDIES = Path("multirun")
ARGUMENTS = ("storage", "study.dir", "study.name")


@dataclass(frozen=True)
class Asked:
    """What a command line asks for."""

    name: str
    folder: Path
    storage: str
    more: Mapping[str, str]  # the command's own arguments

    def study(self) -> Study:
        """The study's record.

        Raises:
            UserError: the storage holds no study of this name.
        """
        try:
            return read(self.name, self.storage)
        except KeyError as error:
            allowed = "a study that the storage holds"
            raise UserError(fault("study.name", self.name, allowed)) from error


def asked(arguments: Sequence[str], more: Sequence[str] = ()) -> Asked:
    """The study that the arguments name.

    Args:
        arguments: ``study.name=NAME``, ``study.dir=FOLDER``, ``storage=URL`` and the command's own
        more: names of the command's own

    Raises:
        UserError: there is no such study, or an argument that is not known.
    """
    known = sorted({*ARGUMENTS, *more})
    for argument in arguments:
        if argument.partition("=")[0] not in known:
            raise UserError(fault("argument", argument, ", ".join(known)))
    given = {key: value for key, _, value in (a.partition("=") for a in arguments)}
    folder = Path(given.get("study.dir") or _folder(given.get("study.name")))
    name = given.get("study.name") or folder.name
    database = folder / DATABASE
    if not given.get("storage") and not database.exists():
        raise UserError(fault("study.name", name, f"a study with a database {database}"))
    storage = given.get("storage") or f"sqlite:///{database}"
    return Asked(name, folder, storage, {key: given[key] for key in more if given.get(key)})


def _folder(name: str | None) -> Path:
    if name:
        return STUDIES / name
    folders = [database.parent for database in STUDIES.glob(f"*/{DATABASE}")]
    if not folders:
        raise UserError(f"no study in {STUDIES}/ yet; run: make sweep")
    return max(folders, key=_last_written)


def _last_written(folder: Path) -> float:
    """When a study was last written; SQLite writes into the log beside the database first.

    Who only reads leaves that log empty.
    """
    files = (folder / DATABASE, folder / f"{DATABASE}-wal", folder / EVENTS)
    return max(one.stat().st_mtime for one in files if one.exists() and one.stat().st_size)


def run(command: Callable[[list[str]], object]) -> None:
    """Run a command with this process' arguments; a user's mistake is one line."""
    try:
        command(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
