"""Is a trial's worker still alive? It says so itself, as long as its training moves.

A thread beside the training looks whether that has used processor time; what hangs, on a lock or on
a disk that is gone, has not. A process that is stopped says nothing at all.
"""

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

BEATS = 4  # in the time after which a silent worker is given up


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
