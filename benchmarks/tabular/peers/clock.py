"""Run a peer's search on a problem: a free slot gets its next trial without delay.

The overhead of a peer's own controller is omitted, to the peer's advantage; Ray Tune's is a second
and a half per trial. real_time.py includes it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Protocol

from ..budget import Budget, Seeds
from ..curves import Curve, Problem, plain, result
from ..plans import divergence
from ..trace import Trace, TrialTrace


class Peer(Protocol):
    """A searcher with its trial scheduler; trials are numbered in order of their start."""

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial."""

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether the trial continues after an evaluation, counted from 1."""

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Process the end of a trial.

        Args:
            number: number of the trial
            evaluation: its last evaluation
            loss: loss at this evaluation
            value: final value; None if stopped, NaN if diverged
        """


@dataclass
class RunningTrial:
    """A running trial."""

    number: int
    curve: Curve
    began: float
    reported: int = 0  # number of reports so far

    def next_at(self) -> float:
        """Return the time of its next report, in hours."""
        return self.began + self.curve.startup_hours + self.curve.hours[self.reported]

    def value(self) -> float:
        """Return its value so far; NaN if training diverged."""
        try:
            return result(self.curve.reports()[: self.reported]).values[0]
        except FloatingPointError:
            return math.nan

    def has_diverged(self) -> bool:
        """Return whether UGRO would end the trial at its last report as diverged."""
        reports = self.curve.reports()[: self.reported]
        return divergence().judge(reports, 0.0) is not None

    def traced(self, ended: float = math.inf, value: float | None = None) -> TrialTrace:
        """Convert it to an entry of the trace; by default of a trial that has not ended."""
        start = self.began + self.curve.startup_hours
        reports = self.curve.reports()[: self.reported]
        progress = [(start + report.seconds, report.tokens_seen) for report in reports]
        told = None if value is None or math.isnan(value) else value
        return TrialTrace(
            self.number, [(self.began, 0), *progress], ended, told, self.curve.true_loss
        )


def search(peer: Peer, problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
    """Run a complete search; peers do not see the report at step 0."""
    trace, due, now, begun = Trace(slots, budget.hours), [], 0.0, 0

    def start() -> None:
        nonlocal begun
        if begun == budget.trials:
            return
        curve = problem.curve(plain(peer.ask(begun)), seeds.noise)
        trial = RunningTrial(begun, curve, now)
        heappush(due, (trial.next_at(), begun, trial))
        begun += 1

    for _ in range(slots):
        start()
    while due and due[0][0] <= budget.hours:
        now, number, trial = heappop(due)
        loss = trial.curve.losses[trial.reported]
        goes_on = trial.reported == 0 or peer.goes_on(number, trial.reported, loss)
        trial.reported += 1
        over, diverged = trial.reported == len(trial.curve.losses), trial.has_diverged()
        if goes_on and not over and not diverged:
            heappush(due, (trial.next_at(), number, trial))
            continue
        value = math.nan if diverged else trial.value() if over else None
        peer.ended(number, trial.reported - 1, loss, value)
        trace.trials.append(trial.traced(now, value))
        start()
    for _, _, trial in due:
        trial.reported += 1  # after the horizon: tokens are interpolated
        trace.trials.append(trial.traced())
    return trace
