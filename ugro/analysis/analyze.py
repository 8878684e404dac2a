"""Write a study's result files, figures and report, and print its summary."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from ugro.analysis.confirmation.confirmation import confirmation_of
from ugro.analysis.findings.answers import describe_test
from ugro.analysis.findings.findings import Findings, findings_of
from ugro.analysis.importance.importance import importances_of
from ugro.analysis.report.summary_file import write_summary
from ugro.analysis.results import write_results, write_table
from ugro.analysis.tables import Tables, tables_of
from ugro.analysis.terminal_summary import show
from ugro.paths import ANALYSIS, CONFIRM, REPORT, SUMMARY, TABLE
from ugro.study.confirmation import confirmation_record
from ugro.study.study import Study

FEW = 2  # maximum suggestions on a terminal; the report lists all


def analyze(study: Study, folder: Path, whole: bool = True) -> None:
    """Write a study's result files and print its summary.

    Args:
        study: running, stopped or finished study, also of another program that uses Optuna
        folder: folder of the study
        whole: also compute what takes seconds: importances, figures, report
    """
    tables = tables_of(study, folder)
    confirmation = confirmation_of(folder)
    write_results(study, tables, folder, confirmation.preferred if confirmation else None)
    if (again := confirmation_record(study, folder)) is not None:
        write_table(again, tables_of(again, folder / CONFIRM), folder / CONFIRM / TABLE)
    importances = importances_of(study, tables) if whole else ()
    findings = findings_of(study, tables, importances, confirmation)
    write_summary(findings, folder / SUMMARY)
    try:
        if whole:
            _draw(tables, findings, folder)
    finally:
        test = list(describe_test(findings.test))
        show(study, folder, test=test, besides=list(_last_lines(findings)))


def _draw(tables: Tables, findings: Findings, folder: Path) -> None:
    from ugro.analysis.pictures import write_pictures  # matplotlib takes a second to import
    from ugro.analysis.report.report import write_report

    write_pictures(tables, findings.importances, folder / ANALYSIS)
    write_report(tables, findings.importances, findings, findings.confirmation, folder / REPORT)


def _last_lines(findings: Findings) -> Iterator[str]:
    """Yield the certainty of the result and the first suggestions."""
    yield from findings.certainty.said
    for one in findings.advice[:FEW]:
        yield f"Next: {one.why}"
        if one.command or one.overrides:
            yield f"  {one.command or shlex.join(one.overrides)}"
