"""Detect hung trials and lost workers.

A deadline ends a trial that runs past its limit without a report. A heartbeat detects a worker that
makes no progress: a thread beside the training checks whether it has used processor time. A worker
that hangs on a lock or a lost disk has not; a stopped process sends nothing at all.
"""

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ugro.retries import OUTAGE_SECONDS

BEATS = 4  # in the time after which a silent worker is given up
# What is told to stop saves its adapter, measures its latency and waits for its copies.
ENDING_SECONDS = OUTAGE_SECONDS


@dataclass
class Deadline:
    """By when a trial must be heard of again; each report puts it off.

    Args:
        limit_seconds: since the trial was started; at its next report after that it is told to
            stop. None: it has no deadline
        silence_seconds: that it may take to that report
        clock: seconds, from any beginning
    """

    limit_seconds: float | None
    silence_seconds: float
    clock: Callable[[], float] = time.monotonic
    _limit_at: float = field(default=float("inf"), init=False)
    _at: float = field(default=float("inf"), init=False)

    def begin(self) -> None:
        """The trial is started."""
        if self.limit_seconds is not None:
            self._limit_at = self.clock() + self.limit_seconds
            self._at = self._limit_at + self.silence_seconds

    def heard(self, ends: bool) -> None:
        """The trial has reported and was answered.

        Args:
            ends: whether it is over but for what it still saves
        """
        since = self.clock() + (ENDING_SECONDS if ends else 0.0)
        self._at = max(self._limit_at, since) + self.silence_seconds

    def seconds_left(self) -> float:
        """Until it is taken for hung; infinity where it has no deadline or is not started."""
        return self._at - self.clock()

    def __str__(self) -> str:
        return f"no report for {self.silence_seconds:g} s after {self.limit_seconds:g} s"


@dataclass
class Heartbeat:
    """By when a worker must be heard of again; whatever it says puts that off.

    Args:
        seconds: of silence; None: for ever
        clock: seconds, from any beginning
    """

    seconds: float | None
    clock: Callable[[], float] = time.monotonic
    hangs_at: str = ""  # the line of code, as the worker has said
    _at: float = field(default=float("inf"), init=False)

    def heard(self, hangs_at: str = "") -> None:
        """It has begun, reported or said that it moves; or said where it does not."""
        self.hangs_at = hangs_at
        if self.seconds is not None and not hangs_at:
            self._at = self.clock() + self.seconds

    def seconds_left(self) -> float:
        """Until it is given up; infinity where that never happens or it has not begun."""
        return self._at - self.clock()

    def __str__(self) -> str:
        where = f", it hangs at {self.hangs_at}" if self.hangs_at else ""
        return f"no sign of life for {self.seconds:g} s{where}"


@contextmanager
def pulse(seconds: float | None, tell: Callable[[str], None]) -> Iterator[None]:
    """Within the block ``tell`` is called now and then, from another thread.

    Args:
        seconds: after which a silent worker is given up; None: nothing is called
        tell: with an empty text where this thread has moved, else with the line where it hangs
    """
    if seconds is None:
        yield
        return
    over = threading.Event()
    this = threading.get_ident()
    beat = threading.Thread(
        target=_beat, args=(this, seconds / BEATS, over, tell), name="pulse", daemon=True
    )
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join()


def _beat(watched: int, every: float, over: threading.Event, tell: Callable[[str], None]) -> None:
    clock = time.pthread_getcpuclockid(watched)
    before = time.clock_gettime_ns(clock)
    while not over.wait(every):
        now = time.clock_gettime_ns(clock)
        tell("" if now > before else _line(watched))
        before = now


def _line(thread: int) -> str:
    """Where in the code a thread is."""
    here = traceback.extract_stack(sys._current_frames()[thread])[-1]
    return f"{here.filename}:{here.lineno}, in {here.name}"
