"""When is a trial taken for hung? When it has gone on past its limit and is not heard of."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ugro.retries import OUTAGE_SECONDS

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
