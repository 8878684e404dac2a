"""Simulate trials on a simulated clock.

The sweep's own code runs against them: sampler, early stopping, limits and retries. Hours of
decisions take seconds. The simulator back-end of Syne Tune (Salinas et al. 2022) is the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from hydra.core.utils import JobReturn, JobStatus

from ugro.events.channel import Answer, TrialInterruptedError
from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import Listener, Task


@dataclass(frozen=True)
class SimulatedTrial:
    """Script of a simulated trial: its reports and its result.

    Attributes:
        startup_seconds: from submission to the report at step 0, and of each resumption to the
            first step after the checkpoint
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
    sent: int = 0  # number of sent reports
    seconds_before: float = 0.0  # of training, at the checkpoint from which it was resumed
    has_started: bool = False

    def next_at(self) -> float:
        """Return the time of the trial's next message."""
        if not self.has_started:
            return self.started_at
        seconds = self.script.reports[self.sent].seconds - self.seconds_before
        return self.started_at + self.script.startup_seconds + seconds


@dataclass
class SimulatedExecutor:
    """Executor with the simulated clock :attr:`now`, which the sweep shares.

    Simultaneous messages are ordered by trial number. Deadlines that kill real trials are ignored,
    because simulated trials always end. A paused trial ends at its report, as if saving took no
    time; submitted again, it repeats its startup and no report.

    Args:
        simulate: returns the script of a trial
        slots: returns the number of slots at a time
    """

    simulate: Callable[[Task], SimulatedTrial]
    slots: Callable[[float], int]
    now: float = 0.0
    _due: list[tuple[float, int, _Running]] = field(default_factory=list)  # a heap
    _paused: dict[int, _Running] = field(default_factory=dict)

    @property
    def running(self) -> int:
        """Number of trials that have not ended."""
        return len(self._due)

    def count(self) -> int:
        """Return the number of slots now."""
        return self.slots(self.now)

    def submit(self, task: Task) -> None:
        """Start the trial now, or resume it where it was paused."""
        if (paused := self._paused.pop(task.number, None)) is None:
            self._schedule(_Running(task.number, self.simulate(task), self.now))
            return
        at = paused.script.reports[paused.sent - 1].seconds
        self._schedule(_Running(task.number, paused.script, self.now, paused.sent, at))

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
        answer = Answer.CONTINUE
        if not trial.has_started:
            trial.has_started = True
            listener.started(trial.number, "")
        elif trial.sent < len(reports):
            answer = listener.reported(trial.number, replace(reports[trial.sent], time=self.now))
            trial.sent += 1
        if trial.sent == len(reports) or answer is Answer.STOP:
            return _job_return(trial)
        if answer is Answer.PAUSE:
            self._paused[trial.number] = trial
            saved = TrialInterruptedError(f"saved after report {trial.sent}")
            return JobReturn(status=JobStatus.FAILED, _return_value=saved)
        return None


def _job_return(trial: _Running) -> JobReturn:
    try:
        result = trial.script.result(trial.script.reports[: trial.sent])
    except Exception as error:  # an error of the trial, returned as a launcher does
        return JobReturn(status=JobStatus.FAILED, _return_value=error)
    return JobReturn(status=JobStatus.COMPLETED, _return_value=result)
