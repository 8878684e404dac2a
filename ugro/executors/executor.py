"""Executor interface, its tasks and listeners, and the executor in this process."""

import logging
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import TaskFunction
from omegaconf import DictConfig

from ugro.errors import UserError
from ugro.events.channel import Answer, TrialInterruptedError, connected
from ugro.events.trial_report import Report
from ugro.executors.watchdog import Deadline
from ugro.paths import trial_subdir
from ugro.provenance import this_process
from ugro.redaction import redacted

MIN_TIMER_SECONDS = 1e-6  # a timer of 0 is disabled
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A trial to run in its own folder."""

    number: int
    overrides: list[str]
    shared: DictConfig  # configuration shared with other trials
    values: Mapping[str, Any]  # values of this trial, by key
    limit_seconds: float | None  # after that the trial is stopped at its next report
    silence_seconds: float  # allowed beyond the limit without a report, then it is killed
    heartbeat_seconds: float | None = None  # without a message its worker is considered lost

    @property
    def subdir(self) -> str:
        """Folder of the trial below the study's folder."""
        return trial_subdir(self.number)


class Listener(Protocol):
    """Receiver of messages from running trials."""

    def started(self, number: int, worker: str) -> None:
        """Handle the start of a trial on a worker, given as host and process."""

    def reported(self, number: int, report: Report) -> Answer:
        """Handle a report of a waiting trial; return what the trial does next."""

    def interrupted(self) -> bool:
        """Return whether trials must save their state and end."""


@dataclass(frozen=True)
class ConstantListener:
    """A listener that gives the same answer to every report.

    Args:
        answer: answer to every report
        is_interrupted: returns whether trials must save their state and end
    """

    answer: Answer
    is_interrupted: Callable[[], bool] = lambda: False

    def started(self, number: int, worker: str) -> None:
        """Ignore the start."""

    def reported(self, number: int, report: Report) -> Answer:
        """Return the fixed answer."""
        return self.answer

    def interrupted(self) -> bool:
        """Return whether trials must end."""
        return self.is_interrupted()


class Executor(Protocol):
    """Interface between the sweep and a launcher."""

    def count(self) -> int:
        """Return how many trials can run at once now."""

    def submit(self, task: Task) -> None:
        """Submit a trial."""

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        """Wait for a trial to end; the listener answers reports meanwhile.

        Returns:
            The trial's number and result; None after ``seconds``.
        """


class TrialTimeoutError(Exception):
    """A trial was killed because it exceeded its limit without a report."""


class WorkerLostError(Exception):
    """The process or node of a trial was lost; the trial did not cause it."""


class RayLostError(Exception):
    """Ray itself was lost and restarted; no trial caused it."""


@dataclass(frozen=True)
class WithTraceback:
    """A task that logs its error and attaches the traceback as a note."""

    task: TaskFunction

    def __call__(self, config: DictConfig) -> Any:
        """Run the task."""
        try:
            return self.task(config)
        except (UserError, TrialInterruptedError):
            raise  # their messages are clear without a traceback
        except Exception as error:
            log.exception("the trial failed")
            error.add_note(redacted(traceback.format_exc()))
            raise


class InProcessExecutor:
    """One slot that runs trials in sequence with any Hydra launcher."""

    def __init__(self, launcher: Any) -> None:
        self._launcher = launcher  # every Hydra launcher has a task_function
        self._submitted: list[Task] = []
        launcher.task_function = WithTraceback(launcher.task_function)

    def count(self) -> int:
        """Return 1, for this process."""
        return 1

    def submit(self, task: Task) -> None:
        """Queue the trial until :meth:`wait` runs it."""
        self._submitted.append(task)

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        """Run the oldest submitted trial to its end, ignoring ``seconds``."""
        if not self._submitted:
            time.sleep(seconds)
            return None
        task = self._submitted.pop(0)
        listener.started(task.number, this_process())
        deadline = Deadline(task.limit_seconds, task.silence_seconds)
        deadline.start()
        channel = _InProcessChannel(listener, task.number, deadline)
        overrides = [*task.overrides, f"hydra.sweep.subdir={task.subdir}"]
        try:
            with connected(channel), _alarm(deadline):
                [result] = self._launcher.launch([overrides], initial_job_idx=task.number)
        except Exception:
            if deadline.seconds_left() > 0:
                raise
            # The alarm struck before the trial started; OmegaConf wraps the error in its own.
            timed_out = TrialTimeoutError(str(deadline))
            result = JobReturn(status=JobStatus.FAILED, _return_value=timed_out)
        if channel.error is not None:
            raise channel.error
        return task.number, result


class _InProcessChannel:
    """Channel of a trial in this process; keeps errors of the driver apart from the trial's."""

    def __init__(self, listener: Listener, number: int, deadline: Deadline) -> None:
        self._listener = listener
        self._number = number
        self._deadline = deadline
        self.interrupted = listener.interrupted
        self.error: Exception | None = None

    def report(self, report: Report) -> Answer:
        try:
            with _alarm_paused(self._deadline):
                answer = self._listener.reported(self._number, report)
                self._deadline.extend(report.last or answer is not Answer.CONTINUE)
            return answer
        except TrialTimeoutError:
            raise  # the trial's, not the driver's
        except Exception as error:
            self.error = error
            raise


@contextmanager
def _alarm(deadline: Deadline) -> Iterator[None]:
    """Raise :class:`TrialTimeoutError` in the block at the deadline, if signals are available."""
    if not _has_alarm(deadline):
        yield
        return

    def on_alarm(signum: int, frame: FrameType | None) -> None:
        raise TrialTimeoutError(str(deadline))

    before = signal.signal(signal.SIGALRM, on_alarm)
    _set_alarm(deadline)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _alarm_paused(deadline: Deadline) -> Iterator[None]:
    """Pause the alarm in the block, so that it does not interrupt the driver."""
    if not _has_alarm(deadline):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        _set_alarm(deadline)


def _has_alarm(deadline: Deadline) -> bool:
    has_signals = threading.current_thread() is threading.main_thread()
    return has_signals and deadline.limit_seconds is not None


def _set_alarm(deadline: Deadline) -> None:
    signal.setitimer(signal.ITIMER_REAL, max(deadline.seconds_left(), MIN_TIMER_SECONDS))
