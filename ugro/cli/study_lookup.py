"""The study that a command means: ``study.name=NAME``, or the latest one."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ugro.errors import UserError, fault
from ugro.paths import DATABASE, EVENTS
from ugro.retries import one_line
from ugro.study.storage import file_of, redacted
from ugro.study.study import Study, names, read, read_renamed

STUDIES = Path("multirun")
MOST = 10  # names of studies that a message lists
ARGUMENTS = ("storage", "study.dir", "study.name")


@dataclass(frozen=True)
class StudyArguments:
    """What a command line asks for."""

    name: str
    folder: Path
    storage: str
    more: Mapping[str, str]  # the command's own arguments

    def study(self) -> Study:
        """The study's record.

        Raises:
            UserError: the storage holds no study of this name, or another Optuna's.
        """
        own = self.storage == _in(self.folder)
        try:
            return (read_renamed if own else read)(self.name, self.storage)
        except KeyError as error:
            allowed = f"a study that the storage holds: {_listed(names(self.storage))}"
            raise UserError(fault("study.name", self.name, allowed)) from error
        except RuntimeError as error:  # written by an Optuna of long ago, or one to come
            allowed = f"one that this Optuna reads ({one_line(error)})"
            raise UserError(fault("storage", redacted(self.storage), allowed)) from error


def study_arguments(arguments: Sequence[str], more: Sequence[str] = ()) -> StudyArguments:
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
    if url := given.get("storage"):
        _check_exists(url)
        given["study.name"] = given.get("study.name") or _only(url)
    folder = Path(given.get("study.dir") or _folder(given.get("study.name")))
    name = given.get("study.name") or folder.name
    database = folder / DATABASE
    if not given.get("storage") and not database.exists():
        raise UserError(fault("study.name", name, f"a study with a database {database}"))
    storage = given.get("storage") or _in(folder)
    return StudyArguments(
        name, folder, storage, {key: given[key] for key in more if given.get(key)}
    )


def _in(folder: Path) -> str:
    """The storage of a study that has its record in its folder."""
    return f"sqlite:///{folder / DATABASE}"


def _check_exists(url: str) -> None:
    """A command reads: it does not make a database where a name is misspelt."""
    database = file_of(url)
    if database is not None and not database.exists():
        raise UserError(fault("storage", redacted(url), "a database that exists"))


def _only(url: str) -> str:
    """The name of a storage's study, where it has but one."""
    held = names(url)
    if len(held) != 1:
        raise UserError(fault("study.name", None, f"a study of the storage: {_listed(held)}"))
    return held[0]


def _listed(held: Sequence[str]) -> str:
    more = [f"and {len(held) - MOST} more"] if len(held) > MOST else []
    return ", ".join([*held[:MOST], *more]) or "it holds none"


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
    written = (one.stat() for one in files if one.exists())
    return max((one.st_mtime for one in written if one.st_size), default=0.0)


def run(command: Callable[[list[str]], object], arguments: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake is one line.

    Args:
        command: its ``main``
        arguments: this process' own unless given
    """
    try:
        command(list(sys.argv[1:] if arguments is None else arguments))
    except UserError as error:
        sys.exit(f"error: {error}")
