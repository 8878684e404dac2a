"""What came out of a study? ``python -m ugro.analyze study.name=NAME`` writes and shows it."""

from pathlib import Path

from ugro.analysis.confirmation import confirmation_of
from ugro.analysis.findings import findings_of
from ugro.analysis.importance import importances_of
from ugro.analysis.results import write_results
from ugro.analysis.summary import show
from ugro.analysis.summary_file import write_summary
from ugro.analysis.tables import tables_of
from ugro.commands import asked, run
from ugro.files import SUMMARY
from ugro.record.study import Study


def analyze(study: Study, folder: Path, whole: bool = True) -> None:
    """Write a study's result files and print its summary.

    Args:
        study: finished, running or stopped; anyone's that Optuna can read
        folder: the study's own
        whole: also what takes seconds: which keys mattered
    """
    tables = tables_of(study, folder)
    write_results(study, tables, folder)
    confirmation = confirmation_of(folder)
    importances = importances_of(study, tables) if whole else ()
    findings = findings_of(study, tables, importances, confirmation)
    write_summary(findings, folder / SUMMARY)
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
