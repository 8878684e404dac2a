"""Simulate trials on a simulated clock.

The sweep's own code runs against them: sampler, early stopping, limits and retries. Hours of
decisions take seconds. The simulator back-end of Syne Tune (Salinas et al. 2022) is the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from hydra.core.utils import JobReturn, JobStatus

from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import Listener, Task


@dataclass(frozen=True)
class SimulatedTrial:
    """Script of a simulated trial: its reports and its result.

    Attributes:
        startup_seconds: from submission to the report at step 0
        reports: sent at their ``seconds``, starting at step 0
        result: returns the result after the reports so far; the trial fails with what it raises
    """

    startup_seconds: float
    reports: Sequence[Report]
    result: Callable[[Sequence[Report]], TrialResult]


@dataclass
class _Running:
    number: int
    script: SimulatedTrial
    started_at: float
    sent: int = -1  # number of sent reports; -1: not started

    def next_at(self) -> float:
        """Return the time of the trial's next message."""
        if self.sent < 0:
            return self.started_at
        seconds = self.script.reports[self.sent].seconds
        return self.started_at + self.script.startup_seconds + seconds


@dataclass
class SimulatedExecutor:
    """Executor with the simulated clock :attr:`now`, which the sweep shares.

    Simultaneous messages are ordered by trial number. Deadlines that kill real trials are ignored,
    because simulated trials always end.

    Args:
        simulate: returns the script of a trial
        slots: returns the number of slots at a time
    """

    simulate: Callable[[Task], SimulatedTrial]
    slots: Callable[[float], int]
    now: float = 0.0
    _due: list[tuple[float, int, _Running]] = field(default_factory=list)  # a heap

    @property
    def running(self) -> int:
        """Number of trials that have not ended."""
        return len(self._due)

    def count(self) -> int:
        """Return the number of slots now."""
        return self.slots(self.now)

    def submit(self, task: Task) -> None:
        """Start the trial now."""
        self._schedule(_Running(task.number, self.simulate(task), self.now))

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        """Advance the clock to the end of a trial, by at most ``seconds``."""
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            at, number, trial = heappop(self._due)
            self.now = max(self.now, at)
            if (result := self._advance(trial, listener)) is not None:
                return number, result
            self._schedule(trial)
        self.now = until
        return None

    def _schedule(self, trial: _Running) -> None:
        heappush(self._due, (trial.next_at(), trial.number, trial))

    def _advance(self, trial: _Running, listener: Listener) -> JobReturn | None:
        """Process the trial's next message; return its result after the last."""
        reports = trial.script.reports
        continues = True
        if trial.sent < 0:
            listener.started(trial.number, "")
        elif trial.sent < len(reports):
            continues = listener.reported(trial.number, replace(reports[trial.sent], time=self.now))
        trial.sent += 1
        return None if continues and trial.sent < len(reports) else _job_return(trial)


def _job_return(trial: _Running) -> JobReturn:
    try:
        result = trial.script.result(trial.script.reports[: trial.sent])
    except Exception as error:  # an error of the trial, returned as a launcher does
        return JobReturn(status=JobStatus.FAILED, _return_value=error)
    return JobReturn(status=JobStatus.COMPLETED, _return_value=result)
