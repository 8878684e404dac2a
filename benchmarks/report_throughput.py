"""Measure reports per second of a driver, with the sweep's own loop and slots that only report.

Each report is judged by adaptive ASHA, appended to ``events.jsonl`` on disk and passed to the
recorder, whose thread writes it to a study in SQLite. Two rates are printed: that of the loop,
which slots wait for, and that of the complete record.

    python -m benchmarks.report_throughput [TRIALS] [REPORTS]
"""

import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from ugro.events.events import Event, TrialReported
from ugro.observers.audit_log import AuditLog
from ugro.study.recorder import Recorder
from ugro.study.study import create_or_continue

from .tabular.budget import Budget, Seeds
from .tabular.curves import Curve
from .tabular.simulate import simulate

SLOTS = 64
SWEEP = ("hydra/sweeper/sampler=random", "study.baseline=false", "scheduler=adaptive_asha")


@dataclass(frozen=True)
class FrequentReports:
    """A problem with frequent reports and equal trials, so that few are stopped."""

    reports: int
    name: str = "chatty"

    def curve(self, parameters: Mapping[str, Any], seed: int) -> Curve:
        """Return falling losses, equal for all configurations."""
        shares = numpy.arange(self.reports + 1) / self.reports
        return Curve((4 - shares).tolist(), (2 * shares).tolist(), 0.0, 1000 * self.reports, 3.0)


class ReportCounter:
    """An observer that counts reports and stores the time of the last report."""

    count, last = 0, 0.0

    def observe(self, event: Event) -> None:
        """Count a report."""
        if isinstance(event, TrialReported):
            self.count, self.last = self.count + 1, time.perf_counter()


def main(trials: int, reports: int) -> None:
    """Print a line without and a line with a record in SQLite."""
    for recorded in (False, True):
        counting = ReportCounter()
        with tempfile.TemporaryDirectory() as folder:
            recorder = None
            if recorded:
                url = f"sqlite:///{folder}/study.db"
                recorder = Recorder(create_or_continue("s", url, ["eval_loss"], ["minimize"]))
            observers = [AuditLog(Path(folder, "events.jsonl")), counting]
            began = time.perf_counter()
            simulate(
                FrequentReports(reports),
                SWEEP,
                SLOTS,
                Budget(trials),
                Seeds(0, 0, 0),
                recorder=recorder,
                observers=observers,
            )
            whole = time.perf_counter() - began
        print(
            f"{'with' if recorded else 'without'} a study in SQLite: {counting.count} reports, "
            f"the loop takes {counting.count / (counting.last - began):.0f} a second, "
            f"the record is whole at {counting.count / whole:.0f} a second",
            flush=True,
        )


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given or (64, 100)))
