"""Find the study that a command names, or the latest one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial

from ugro.cli.study_folders import STUDIES, study_folders
from ugro.errors import UserError, fault
from ugro.paths import DATABASE
from ugro.retries import one_line
from ugro.shell import command
from ugro.study.storage import JOURNAL, file_of, redacted_url
from ugro.study.study import Study, names, read, read_renamed

MAX_LISTED = 10  # names of studies in a message


@dataclass(frozen=True)
class StudyLocation:
    """Where a study's record and files are."""

    name: str
    folder: Path
    storage: str

    def study(self) -> Study:
        """Read the study's record.

        Raises:
            UserError: the storage holds no study of this name, or another Optuna's.
        """
        own = self.storage == _in(self.folder)
        try:
            return (read_renamed if own else read)(self.name, self.storage)
        except KeyError as error:
            allowed = f"a study that the storage holds: {_listed(names(self.storage))}"
            raise UserError(fault("study.name", self.name, allowed)) from error
        except RuntimeError as error:
            raise UserError(_incompatible(self.storage, error)) from error

    def trial(self, given: str | None) -> FrozenTrial:
        """Return the trial of a command's ``trial`` key.

        Raises:
            UserError: the study has no such trial.
        """
        known = {str(trial.number): trial for trial in self.study().of_all_groups()}
        if given not in known:
            allowed = f"the number of one of the {len(known)} trials of study {self.name}"
            raise UserError(fault("trial", given, allowed))
        return known[given]


def find_study(given: Mapping[str, str]) -> StudyLocation:
    """Find the study that the keys name, by default the latest one.

    Args:
        given: values by key: ``study.name``, ``study.dir``, ``storage``

    Raises:
        UserError: there is no such study.
    """
    name, storage = given.get("study.name"), given.get("storage")
    if storage:
        check_exists(storage)
        name = name or _only(storage)
    folder = study_folder(given.get("study.dir"), name)
    name = name or folder.name
    database = folder / DATABASE
    if not storage and not database.exists():
        raise UserError(fault("study.name", name, f"a study with a database {database}"))
    return StudyLocation(name, folder, storage or _in(folder))


def study_folder(folder: str | None, name: str | None, file: str = DATABASE) -> Path:
    """Return a study's folder as given, that of its name, or the latest study's.

    Args:
        folder: ``study.dir``
        name: ``study.name``
        file: that the latest study has

    Raises:
        UserError: neither is given and there is no study yet.
    """
    if folder:
        return Path(folder)
    if name:
        return STUDIES / name
    if latest := study_folders(file):
        return latest[0]
    raise UserError(f"no study in {STUDIES}/ yet; run: {command('sweep')}")


def _in(folder: Path) -> str:
    """Return the storage of a study that keeps its record in its folder."""
    return f"sqlite:///{folder / DATABASE}"


def check_exists(url: str) -> None:
    """Refuse a database that does not exist: reading would create it."""
    journal = url.removeprefix(JOURNAL)
    database = file_of(url) if journal == url else Path(journal)
    if database is not None and not database.exists():
        raise UserError(fault("storage", redacted_url(url), "a database that exists"))


def _only(url: str) -> str:
    """Return the name of a storage's only study."""
    try:
        held = names(url)
    except RuntimeError as error:
        raise UserError(_incompatible(url, error)) from error
    if len(held) != 1:
        raise UserError(fault("study.name", None, f"a study of the storage: {_listed(held)}"))
    return held[0]


def _incompatible(url: str, error: RuntimeError) -> str:
    """Return the error for a storage that an incompatible Optuna wrote."""
    allowed = f"one that this Optuna reads ({one_line(error)})"
    return fault("storage", redacted_url(url), allowed)


def _listed(held: Sequence[str]) -> str:
    more = [f"and {len(held) - MAX_LISTED} more"] if len(held) > MAX_LISTED else []
    return ", ".join([*held[:MAX_LISTED], *more]) or "it holds none"
