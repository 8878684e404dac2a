"""The report ``analysis/report.html``: one file that works offline and can be sent by mail."""

import time
from collections.abc import Sequence
from pathlib import Path

from ugro.analysis.figures.catalog import Section
from ugro.analysis.figures.downsampling import downsampled, sampling_note
from ugro.analysis.figures.study_view import StudyView
from ugro.analysis.findings.findings import Findings
from ugro.analysis.report.answers import answers_of
from ugro.analysis.report.failures import failures_of
from ugro.analysis.report.first_screen import first_screen
from ugro.analysis.report.how_run import how_run, utc
from ugro.analysis.report.page import render
from ugro.analysis.report.status import study_status
from ugro.analysis.report.trial_list import trial_list
from ugro.paths import BEST, write_atomically
from ugro.redaction import redacted
from ugro.shell import best_command


def write_report(
    view: StudyView, sections: Sequence[Section], findings: Findings, path: Path
) -> None:
    """Write the report, of any study, even without a trial.

    Args:
        view: the study
        sections: its figures
        findings: the answers to the six questions
        path: of the file, in the folder ``analysis`` of the study's own
    """
    best = path.parents[1] / BEST
    number = findings.best.number if findings.best else None
    again = best_command(path.parents[1]) if best.exists() else ""
    context = {
        "title": findings.name,
        "findings": findings,
        "importances": findings.importances,
        "confirmation": findings.confirmation,
        "first": first_screen(findings, findings.confirmation),
        "status": study_status(findings),
        "sections": sections,
        "sampled": sampling_note(view, downsampled(view)),
        "answers": answers_of(path.parents[1], number, view.tables.baseline),
        "failures": failures_of(view.tables),
        "run": how_run(view.tables),
        "trials": trial_list(view.tables, number),
        "again": redacted(again),
        "written": utc(time.time()),
    }
    write_atomically(path, render("report.html.j2", ("report.js",), context))
