"""Compare several studies: ``ugro compare study=[a,b,c]``."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ugro.analysis.comparison.comparison import Comparison, check_comparable, comparison_of, side_of
from ugro.analysis.comparison.side_by_side import show, summary
from ugro.analysis.tables import tables_of
from ugro.cli.arguments import parse
from ugro.cli.study_folders import STUDIES
from ugro.cli.study_lookup import StudyLocation, find_study
from ugro.errors import UserError, fault
from ugro.formatting import listed
from ugro.paths import DATABASE, write_atomically
from ugro.study.study import names

PAGE, SUMMARY = "comparison.html", "comparison.json"
MAX_LETTERS = 60  # of the studies' names in a folder's name


def main(arguments: list[str]) -> None:
    """Print studies side by side; write a summary and a figure.

    Args:
        arguments: ``study=[a,b,c]``, names in ``multirun/`` or folders; ``storage=URL`` that holds
            all of them instead; ``to=FOLDER``, by default ``multirun/comparison-a-b-c``

    Raises:
        UserError: there is no such study, fewer than two, or studies of different objectives.
    """
    given, storage, to = _parsed(arguments)
    meant = [_study(name, storage) for name in given]
    studies = [one.study() for one in meant]
    tables = [tables_of(study, of.folder) for study, of in zip(studies, meant, strict=True)]
    shown = _shown(given)
    check_comparable(shown, tables)
    found = comparison_of(list(map(side_of, shown, studies, tables)))
    to.mkdir(parents=True, exist_ok=True)
    write_atomically(to / SUMMARY, json.dumps(summary(found), indent=1, default=str))
    drawn = _draw(found, to)
    show(found, Console())
    print(f"Written: {', '.join(map(str, [to / SUMMARY, *drawn]))}")


def _parsed(arguments: Sequence[str]) -> tuple[list[str], str | None, Path]:
    given = parse("compare", arguments)
    inside = given.get("study", "").removeprefix("[").removesuffix("]")
    studies = list(dict.fromkeys(name.strip().rstrip("/") for name in inside.split(",")))
    if len(studies) < 2 or not all(studies):
        raise UserError(fault("study", given.get("study"), "two studies or more: study=[a,b]"))
    joined = "-".join(name.replace("/", "_") for name in studies)
    called = joined if len(joined) <= MAX_LETTERS else time.strftime("%Y-%m-%d_%H-%M-%S")
    return studies, given.get("storage"), Path(given.get("to") or STUDIES / f"comparison-{called}")


def _shown(studies: Sequence[str]) -> list[str]:
    """Shorten folders to their last names if those are distinct."""
    last = [Path(one).name for one in studies]
    return last if len(set(last)) == len(last) else list(studies)


def _study(name: str, storage: str | None) -> StudyLocation:
    """Find a study by its name or folder; in a given storage by its name."""
    if storage is not None:
        return find_study({"storage": storage, "study.name": name})
    folder = Path(name) if Path(name, DATABASE).exists() else STUDIES / name
    database = folder / DATABASE
    if not database.exists():
        raise UserError(fault("study", name, f"a study's name or folder; there is no {database}"))
    url = f"sqlite:///{database}"
    known = names(url)
    own = [called for called in (name, folder.name) if called in known]
    if not own and len(known) > 1:
        raise UserError(fault("study", name, f"the name of one of its studies: {listed(known)}"))
    # A renamed folder has another name than its study.
    return find_study({"storage": url, "study.dir": str(folder), "study.name": [*own, *known][0]})


def _draw(found: Comparison, folder: Path) -> list[Path]:
    """Write the page and, where a browser is found, a PNG of its figure."""
    from ugro.analysis.figures.catalog import comparison_section  # plotly is slow to import
    from ugro.analysis.figures.static import NoBrowserError, write_static
    from ugro.analysis.report.comparison_page import write_comparison

    section = comparison_section(found)
    write_comparison(found, [section], folder / PAGE)
    try:
        return [folder / PAGE, *write_static([section], folder)]
    except NoBrowserError as error:
        print(error)
    return [folder / PAGE]
