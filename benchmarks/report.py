"""Measure time and memory of a study's analysis, step by step.

    python benchmarks/report.py [trials] [reports] [whole]

The study is synthetic (benchmarks/synthetic_study.py). Each line has wall seconds, processor
seconds and the peak memory of the process so far.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 1024  # kilobytes, Linux's unit of ru_maxrss


@contextmanager
def measured(part: str) -> Iterator[None]:
    """Print the time and memory of a step."""
    clock, processor = time.perf_counter(), time.process_time()
    yield
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    print(f"{part:24}{clock:8.1f} s{processor:8.1f} s{memory:8.0f} MB", flush=True)


def main(folder: Path) -> None:
    """Analyse a study step by step as ``ugro.analysis.analyze`` does."""
    with measured("imports"):
        from ugro.analysis.figures.catalog import sections_of
        from ugro.analysis.figures.overview import write_overview
        from ugro.analysis.figures.study_view import study_view
        from ugro.analysis.findings.findings import findings_of
        from ugro.analysis.importance.importance import importances_of
        from ugro.analysis.report.report import write_report
        from ugro.analysis.report.summary_file import write_summary
        from ugro.analysis.results import write_results
        from ugro.analysis.tables import tables_of
        from ugro.analysis.terminal_summary import show
        from ugro.paths import ANALYSIS, REPORT, SUMMARY
        from ugro.study.study import read
    with measured("all"):
        with measured("tables"):
            study = read(folder.name, f"sqlite:///{folder}/study.db")
            tables = tables_of(study, folder)
        with measured("trials.csv, best.yaml"):
            write_results(study, tables, folder)
        with measured("importances"):
            importances = importances_of(study, tables)
        with measured("findings"):
            findings = findings_of(study, tables, importances, None)
            write_summary(findings, folder / SUMMARY)
        with measured("figures"):
            view = study_view(tables, importances)
            sections = sections_of(view, None)
        with measured("overview.png"):
            write_overview(view, folder / ANALYSIS / "overview.png")
        with measured("report"):
            write_report(view, sections, findings, folder / REPORT)
        with measured("summary"):
            show(study, folder)
    print(f"report.html: {(folder / REPORT).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / "synthetic"
        maker = Path(__file__).parent / "synthetic_study.py"
        subprocess.run([sys.executable, str(maker), str(made), *sys.argv[1:]], check=True)
        main(made)
