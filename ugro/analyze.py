"""What came out of a study? ``python -m ugro.analyze study.name=NAME`` writes and shows it."""

import sys
from pathlib import Path

from ugro.errors import UserError, fault
from ugro.summary import show
from ugro.sweep.results import write_results
from ugro.sweep.study import read

STUDIES = Path("multirun")


def analyze(name: str, storage: str, folder: Path) -> None:
    """Write a study's result files and print its summary.

    Raises:
        UserError: the storage holds no study of this name.
    """
    try:
        study = read(name, storage)
    except KeyError as error:
        raise UserError(fault("study.name", name, "a study that the storage holds")) from error
    write_results(study, folder)
    show(study, folder)


def main(arguments: list[str]) -> None:
    """``study.name=NAME`` and ``storage=URL``; by default the latest study of ``multirun/``.

    Raises:
        UserError: there is no such study, or an argument that is not known.
    """
    known = {"study.name", "study.dir", "storage"}
    for argument in arguments:
        if argument.partition("=")[0] not in known:
            raise UserError(fault("argument", argument, ", ".join(sorted(known))))
    given = {key: value for key, _, value in (a.partition("=") for a in arguments)}
    folder = Path(given.get("study.dir") or _folder(given.get("study.name")))
    name = given.get("study.name") or folder.name
    storage = given.get("storage")
    database = folder / "study.db"
    if not storage and not database.exists():
        raise UserError(fault("study.name", name, f"a study with a database {database}"))
    analyze(name, storage or f"sqlite:///{database}", folder)


def _folder(name: str | None) -> Path:
    if name:
        return STUDIES / name
    databases = sorted(STUDIES.glob("*/study.db"), key=lambda path: path.stat().st_mtime)
    if not databases:
        raise UserError(f"no study in {STUDIES}/ yet; run: make sweep")
    return databases[-1].parent


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
