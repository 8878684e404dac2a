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

HEARTBEATS_PER_TIMEOUT = 4
# An ending trial saves its adapter, measures its latency and waits for its uploads.
SHUTDOWN_SECONDS = OUTAGE_SECONDS


@dataclass
class Deadline:
    """Time of a trial's next report; each report extends it.

    Args:
        limit_seconds: from the start; the trial is stopped at its first report after that. None: no
            deadline
        silence_seconds: allowed for that report
        clock: monotonic seconds
    """

    limit_seconds: float | None
    silence_seconds: float
    clock: Callable[[], float] = time.monotonic
    _limit_at: float = field(default=float("inf"), init=False)
    _at: float = field(default=float("inf"), init=False)

    def start(self) -> None:
        """Start the deadline with the trial."""
        if self.limit_seconds is not None:
            self._limit_at = self.clock() + self.limit_seconds
            self._at = self._limit_at + self.silence_seconds

    def extend(self, is_ending: bool) -> None:
        """Extend the deadline after a report.

        Args:
            is_ending: whether the trial only saves its results from now on
        """
        since = self.clock() + (SHUTDOWN_SECONDS if is_ending else 0.0)
        self._at = max(self._limit_at, since) + self.silence_seconds

    def seconds_left(self) -> float:
        """Return the seconds until the trial counts as hung; infinity without a deadline."""
        return self._at - self.clock()

    def __str__(self) -> str:
        return f"no report for {self.silence_seconds:g} s after {self.limit_seconds:g} s"


@dataclass
class Heartbeat:
    """Time of a worker's next message; each message extends it.

    Args:
        seconds: timeout; None: no timeout
        clock: monotonic seconds
    """

    seconds: float | None
    clock: Callable[[], float] = time.monotonic
    hangs_at: str = ""  # line of code, as sent by the worker
    _at: float = field(default=float("inf"), init=False)

    def record(self, hangs_at: str = "") -> None:
        """Record a message, with the line of code at which the worker hangs, if it does."""
        self.hangs_at = hangs_at
        if self.seconds is not None and not hangs_at:
            self._at = self.clock() + self.seconds

    def seconds_left(self) -> float:
        """Return the seconds until the worker counts as lost; infinity before its start."""
        return self._at - self.clock()

    def __str__(self) -> str:
        where = f", hanging at {self.hangs_at}" if self.hangs_at else ""
        return f"no heartbeat for {self.seconds:g} s{where}"


@contextmanager
def heartbeats(seconds: float | None, send: Callable[[str], None]) -> Iterator[None]:
    """Call ``send`` regularly from another thread while the block runs.

    Args:
        seconds: timeout of a silent worker; None: no calls
        send: receives an empty string if this thread has progressed, else the line where it hangs
    """
    if seconds is None:
        yield
        return
    stopped = threading.Event()
    watched_thread = threading.get_ident()
    thread = threading.Thread(
        target=_send_heartbeats,
        args=(watched_thread, seconds / HEARTBEATS_PER_TIMEOUT, stopped, send),
        name="heartbeat",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _send_heartbeats(
    watched: int, every: float, stopped: threading.Event, send: Callable[[str], None]
) -> None:
    clock = time.pthread_getcpuclockid(watched)
    before = time.clock_gettime_ns(clock)
    while not stopped.wait(every):
        now = time.clock_gettime_ns(clock)
        send("" if now > before else _current_line(watched))
        before = now


def _current_line(thread: int) -> str:
    """Return the current line of a thread."""
    here = traceback.extract_stack(sys._current_frames()[thread])[-1]
    return f"{here.filename}:{here.lineno}, in {here.name}"
