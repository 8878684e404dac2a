"""Write a study's result files, figures and report, and print its summary."""

import logging
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

OVERVIEW = f"{ANALYSIS}/overview.png"
FEW = 2  # maximum suggestions on a terminal; the report lists all

log = logging.getLogger(__name__)


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
    missing = ""
    try:
        if whole:
            missing = _draw(tables, findings, folder)
    finally:
        test = list(describe_test(findings.test))
        show(study, folder, test=test, besides=[*_last_lines(findings), *filter(None, [missing])])


def _draw(tables: Tables, findings: Findings, folder: Path) -> str:
    """Write the overview, the report and, where a browser is found, a PNG of each figure.

    Returns:
        Why there are no PNG files; empty where they were written.
    """
    from ugro.analysis.figures.catalog import sections_of  # plotly takes a second to import
    from ugro.analysis.figures.overview import write_overview
    from ugro.analysis.figures.static import NoBrowserError, write_static
    from ugro.analysis.figures.study_view import NoDataError, study_view
    from ugro.analysis.report.report import write_report

    view = study_view(tables, findings.importances)
    sections = sections_of(view, findings.confirmation)
    try:
        write_overview(view, folder / OVERVIEW)
    except NoDataError as reason:
        log.info("No %s: %s", OVERVIEW, reason)
    write_report(view, sections, findings, folder / REPORT)
    try:
        write_static(sections, folder / ANALYSIS)
    except NoBrowserError as error:
        return str(error)
    return ""


def _last_lines(findings: Findings) -> Iterator[str]:
    """Yield the certainty of the result and the first suggestions."""
    yield from findings.certainty.said
    for one in findings.advice[:FEW]:
        yield f"Next: {one.why}"
        if one.command or one.overrides:
            yield f"  {one.command or shlex.join(one.overrides)}"
