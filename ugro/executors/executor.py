"""Where do trials run? In slots. Here: what a slot is, and the one in this process."""

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
from ugro.events.channel import TrialInterruptedError, connected
from ugro.events.trial_report import Report
from ugro.executors.watchdog import Deadline
from ugro.paths import trial_subdir
from ugro.provenance import this_process
from ugro.redaction import redacted

AT_ONCE_SECONDS = 1e-6  # a timer of 0 never rings
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A trial to be run, in a folder of its own."""

    number: int
    overrides: list[str]
    shared: DictConfig  # a configuration of this trial and others
    values: Mapping[str, Any]  # that are this trial's own in it
    limit_seconds: float | None  # after which it is told to stop, at its next report
    silence_seconds: float  # after that without a report, and it is ended from outside
    heartbeat_seconds: float | None = None  # without a sign of life, and its worker is given up

    @property
    def subdir(self) -> str:
        """Its folder, below the study's."""
        return trial_subdir(self.number)


class Listener(Protocol):
    """Who hears what running trials say."""

    def started(self, number: int, worker: str) -> None:
        """A worker, of that host and process, has taken the trial up."""

    def reported(self, number: int, report: Report) -> bool:
        """A trial has reported and waits; the answer is whether it goes on."""

    def interrupted(self) -> bool:
        """Whether trials are to save themselves and end."""


@dataclass(frozen=True)
class SameAnswer:
    """A listener that gives every report the same answer.

    Args:
        goes_on: the answer
        asked: whether trials are to save themselves and end
    """

    goes_on: bool
    asked: Callable[[], bool] = lambda: False

    def started(self, number: int, worker: str) -> None:
        """Take no note."""

    def reported(self, number: int, report: Report) -> bool:
        """Give the answer."""
        return self.goes_on

    def interrupted(self) -> bool:
        """Return what is asked for."""
        return self.asked()


class Executor(Protocol):
    """What the sweep needs of a launcher."""

    def count(self) -> int:
        """How many trials can run at once, now."""

    def submit(self, task: Task) -> None:
        """Hand a trial over."""

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        """Wait for a trial to end, and let the listener answer reports meanwhile.

        Returns:
            The trial's number and what became of it; None if ``seconds`` passed first.
        """


class TrialTimeoutError(Exception):
    """A trial was ended from outside, as it went on past its limit and said nothing."""


class WorkerLostError(Exception):
    """The process or the node that a trial ran on is gone; the trial is not to blame."""


class RayLostError(Exception):
    """Ray itself was gone and is started again; no trial is to blame."""


@dataclass(frozen=True)
class WithTraceback:
    """A task whose error is in the trial's log, and takes its traceback along as a note."""

    task: TaskFunction

    def __call__(self, config: DictConfig) -> Any:
        """Run the task."""
        try:
            return self.task(config)
        except (UserError, TrialInterruptedError):
            raise  # as clear as they can be
        except Exception as error:
            log.exception("the trial failed")
            error.add_note(redacted(traceback.format_exc()))
            raise


class InProcessExecutor:
    """One slot: any Hydra launcher, handed one trial at a time."""

    def __init__(self, launcher: Any) -> None:
        self._launcher = launcher  # every Hydra launcher has a task_function
        self._submitted: list[Task] = []
        launcher.task_function = WithTraceback(launcher.task_function)

    def count(self) -> int:
        """One: this process."""
        return 1

    def submit(self, task: Task) -> None:
        """Keep the trial until :meth:`wait` runs it."""
        self._submitted.append(task)

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        """Run the trial that has waited longest, however long it takes."""
        if not self._submitted:
            time.sleep(seconds)
            return None
        task = self._submitted.pop(0)
        listener.started(task.number, this_process())
        deadline = Deadline(task.limit_seconds, task.silence_seconds)
        deadline.begin()
        channel = _DriverHere(listener, task.number, deadline)
        overrides = [*task.overrides, f"hydra.sweep.subdir={task.subdir}"]
        try:
            with connected(channel), _alarm(deadline):
                [result] = self._launcher.launch([overrides], initial_job_idx=task.number)
        except Exception:
            if deadline.seconds_left() > 0:
                raise
            # The launcher had not come to the trial yet; OmegaConf has its own error for that.
            timed_out = TrialTimeoutError(str(deadline))
            result = JobReturn(status=JobStatus.FAILED, _return_value=timed_out)
        if channel.error is not None:
            raise channel.error
        return task.number, result


class _DriverHere:
    """The channel of a trial in this process; an error of the driver is not the trial's."""

    def __init__(self, listener: Listener, number: int, deadline: Deadline) -> None:
        self._listener = listener
        self._number = number
        self._deadline = deadline
        self.interrupted = listener.interrupted
        self.error: Exception | None = None

    def report(self, report: Report) -> bool:
        try:
            with _alarm_put_off(self._deadline):
                goes_on = self._listener.reported(self._number, report)
                self._deadline.heard(ends=report.last or not goes_on)
            return goes_on
        except TrialTimeoutError:
            raise  # it has no time left
        except Exception as error:
            self.error = error
            raise


@contextmanager
def _alarm(deadline: Deadline) -> Iterator[None]:
    """Raise :class:`TrialTimeoutError` in the block after that time, where there are signals."""
    if not _rings(deadline):
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise TrialTimeoutError(str(deadline))

    before = signal.signal(signal.SIGALRM, ring)
    _ring_at(deadline)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _alarm_put_off(deadline: Deadline) -> Iterator[None]:
    """Let nothing interrupt the driver in the block; behind it the alarm is set anew."""
    if not _rings(deadline):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        _ring_at(deadline)


def _rings(deadline: Deadline) -> bool:
    has_signals = threading.current_thread() is threading.main_thread()
    return has_signals and deadline.limit_seconds is not None


def _ring_at(deadline: Deadline) -> None:
    signal.setitimer(signal.ITIMER_REAL, max(deadline.seconds_left(), AT_ONCE_SECONDS))
