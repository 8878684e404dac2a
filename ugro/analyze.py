"""What came out of a study? ``python -m ugro.analyze study.name=NAME`` writes and shows it."""

from pathlib import Path

from ugro.analysis.results import write_results
from ugro.analysis.summary import show
from ugro.commands import asked, run
from ugro.record.study import Study


def analyze(study: Study, folder: Path) -> None:
    """Write a study's result files and print its summary."""
    write_results(study, folder)
    show(study, folder)


def main(arguments: list[str]) -> None:
    """``study.name=NAME`` and ``storage=URL``; by default the latest study of ``multirun/``.

    Raises:
        UserError: there is no such study, or an argument that is not known.
    """
    what = asked(arguments)
    analyze(what.study(), what.folder)


if __name__ == "__main__":
    run(main)
