"""Every study can be analysed: no traceback, no NaN, six answers."""

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from rich.console import Console

from ugro.analysis.findings.findings import findings_of
from ugro.analysis.importance.importance import importances_of
from ugro.analysis.report.summary_file import write_summary
from ugro.analysis.results import write_results
from ugro.analysis.tables import tables_of
from ugro.analysis.terminal_summary import show
from ugro.study.study import Study

from .random_studies import studies

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(studies())
def test_any_study_is_analysed(study: Study) -> None:
    tables = tables_of(study)
    importances = importances_of(study, tables)
    findings = findings_of(study, tables, importances, None)
    assert [len(one.said) > 0 for one in findings.answers] == [True] * 6
    assert sum(findings.counts.values()) == len(study.trials())
    assert set(tables.searched) <= set(tables.trials.columns)
    for one in importances:
        assert bool(one.of) != bool(one.why_not)
        assert {each.key for each in one.of} <= set(tables.searched)
    with TemporaryDirectory() as folder:
        write_results(study, tables, Path(folder))
        write_summary(findings, Path(folder) / "summary.json")
        json.loads((Path(folder) / "summary.json").read_text(), parse_constant=refused)
        with (Path(folder) / "trials.csv").open(newline="") as file:
            assert len(list(csv.reader(file))) == 1 + len(study.trials())
    show(study, Path("multirun/s"), Console(file=io.StringIO(), width=100))


def refused(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")
