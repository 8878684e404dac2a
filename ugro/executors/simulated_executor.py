"""Simulate trials on a clock of their own.

The sweep's own code runs against them: sampler, early stopping, limits, retries. Decisions of hours
show in seconds. Syne Tune's simulator back-end (Salinas et al. 2022) is the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from hydra.core.utils import JobReturn, JobStatus

from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import Listener, Task


@dataclass(frozen=True)
class Course:
    """What a trial does if nothing stops it.

    Attributes:
        startup_seconds: from the hand-over to the report at step 0
        reports: each at its ``seconds``, the one at step 0 first
        result: what the trial comes to after so many of them; it fails with what this raises
    """

    startup_seconds: float
    reports: Sequence[Report]
    result: Callable[[Sequence[Report]], TrialResult]


@dataclass
class _Playing:
    number: int
    course: Course
    began: float
    told: int = -1  # reports so far; -1: it has not begun yet

    def next_at(self) -> float:
        """When it says something again."""
        if self.told < 0:
            return self.began
        seconds = self.course.reports[self.told].seconds
        return self.began + self.course.startup_seconds + seconds


@dataclass
class SimulatedExecutor:
    """Executor whose clock is :attr:`now`, to be the sweep's clock, too.

    What happens at the same moment happens in the order of the trials' numbers. Limits after which
    a real trial is ended from outside are not looked at: courses have an end.

    Args:
        course: of a trial
        slots: how many there are at a time
    """

    course: Callable[[Task], Course]
    slots: Callable[[float], int]
    now: float = 0.0
    _due: list[tuple[float, int, _Playing]] = field(default_factory=list)  # a heap

    @property
    def running(self) -> int:
        """How many trials have not ended."""
        return len(self._due)

    def count(self) -> int:
        """How many there are now."""
        return self.slots(self.now)

    def submit(self, task: Task) -> None:
        """Let the trial begin now."""
        self._wake(_Playing(task.number, self.course(task), self.now))

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        """Turn the clock to the end of a trial, by ``seconds`` at most."""
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            at, number, one = heappop(self._due)
            self.now = max(self.now, at)
            if (outcome := self._play(one, listener)) is not None:
                return number, outcome
            self._wake(one)
        self.now = until
        return None

    def _wake(self, one: _Playing) -> None:
        heappush(self._due, (one.next_at(), one.number, one))

    def _play(self, one: _Playing, listener: Listener) -> JobReturn | None:
        """The next thing that the trial does; what it came to if that was the last."""
        reports = one.course.reports
        goes_on = True
        if one.told < 0:
            listener.started(one.number, "")
        elif one.told < len(reports):
            goes_on = listener.reported(one.number, replace(reports[one.told], time=self.now))
        one.told += 1
        return None if goes_on and one.told < len(reports) else _outcome(one)


def _outcome(one: _Playing) -> JobReturn:
    try:
        result = one.course.result(one.course.reports[: one.told])
    except Exception as error:  # the trial's own, as a launcher would hand it over
        return JobReturn(status=JobStatus.FAILED, _return_value=error)
    return JobReturn(status=JobStatus.COMPLETED, _return_value=result)
