"""How do several studies compare? ``python -m ugro.compare study=[a,b,c]``."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ugro.analysis.comparison import Comparison, check_comparable, comparison_of, side_of
from ugro.analysis.side_by_side import show, summary
from ugro.analysis.tables import tables_of
from ugro.commands import STUDIES, run
from ugro.errors import UserError, fault
from ugro.files import DATABASE, write_whole
from ugro.record.study import Study, names_in, read

PICTURE, SUMMARY = "comparison.png", "comparison.json"
ARGUMENTS = ("study", "storage", "to")
LONGEST = 60  # letters of the studies' names in a folder's name


def main(arguments: list[str]) -> None:
    """Set the studies of ``study=[a,b,c]`` side by side, each a name in ``multirun/`` or a folder.

    ``storage=URL`` is where they are instead, by name; ``to=FOLDER`` is where a picture and a
    summary are written, by default ``multirun/comparison-a-b-c/``.

    Raises:
        UserError: there is no such study, fewer than two, or studies of different objectives.
    """
    names, storage, to = _asked(arguments)
    studies = [_study(name, storage) for name in names]
    tables = [tables_of(study, folder) for study, folder in studies]
    shown = _shown(names)
    check_comparable(shown, tables)
    found = comparison_of(
        [
            side_of(name, study, of)
            for name, (study, _), of in zip(shown, studies, tables, strict=True)
        ]
    )
    to.mkdir(parents=True, exist_ok=True)
    write_whole(to / SUMMARY, json.dumps(summary(found), indent=1, default=str))
    drawn = _draw(found, to / PICTURE)
    show(found, Console())
    print(f"Written: {to / SUMMARY}" + (f", {to / PICTURE}" if drawn else ""))


def _asked(arguments: Sequence[str]) -> tuple[list[str], str | None, Path]:
    for argument in arguments:
        if argument.partition("=")[0] not in ARGUMENTS:
            raise UserError(fault("argument", argument, ", ".join(ARGUMENTS)))
    given = {key: value for key, _, value in (one.partition("=") for one in arguments)}
    inside = given.get("study", "").removeprefix("[").removesuffix("]")
    names = list(dict.fromkeys(name.strip().rstrip("/") for name in inside.split(",")))
    if len(names) < 2 or not all(names):
        raise UserError(fault("study", given.get("study"), "two studies or more: study=[a,b]"))
    joined = "-".join(name.replace("/", "_") for name in names)
    called = joined if len(joined) <= LONGEST else time.strftime("%Y-%m-%d_%H-%M-%S")
    return names, given.get("storage"), Path(given.get("to") or STUDIES / f"comparison-{called}")


def _shown(names: Sequence[str]) -> list[str]:
    """Folders by their last names, where those tell them apart."""
    last = [Path(name).name for name in names]
    return last if len(set(last)) == len(last) else list(names)


def _study(name: str, storage: str | None) -> tuple[Study, Path]:
    """A study and its folder, which need not exist where a storage is given."""
    if storage is not None:
        return _read(name, name, storage), STUDIES / name
    folder = Path(name) if Path(name, DATABASE).exists() else STUDIES / name
    database = folder / DATABASE
    if not database.exists():
        raise UserError(fault("study", name, f"a study's name or folder; there is no {database}"))
    url = f"sqlite:///{database}"
    known = names_in(url)
    called = next((one for one in (name, folder.name) if one in known), None)
    if called is None and len(known) == 1:
        [called] = known  # the folder was given another name
    if called is None:
        raise UserError(fault("study", name, f"a folder of one of its studies: {', '.join(known)}"))
    return _read(name, called, url), folder


def _read(name: str, called: str, url: str) -> Study:
    try:
        return read(called, url)
    except KeyError as error:
        raise UserError(fault("study", name, "a study that the storage holds")) from error


def _draw(found: Comparison, path: Path) -> bool:
    """Write the picture; False where there is nothing to draw."""
    from ugro.analysis.pictures.comparison import draw  # matplotlib takes a second to import
    from ugro.analysis.pictures.style import save
    from ugro.analysis.pictures.subject import NothingToDrawError

    try:
        save(draw(found), path)
    except NothingToDrawError:
        path.unlink(missing_ok=True)  # an earlier one would be of other studies
        return False
    return True


if __name__ == "__main__":
    run(main)
