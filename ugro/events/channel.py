"""The channel over which a trial reports to the driver; a standalone trial has no listener."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import Protocol

from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report


class Answer(Enum):
    """What a trial does after a report."""

    CONTINUE = "continue"
    STOP = "stop"  # it ends with its results so far
    PAUSE = "pause"  # it saves its state and ends, to go on later; if it cannot, it continues

    @classmethod
    def to(cls, outcome: Outcome | None) -> "Answer":
        """Return the answer that brings about an outcome; None: the trial continues."""
        if outcome is None:
            return cls.CONTINUE
        return cls.PAUSE if outcome is Outcome.PAUSED else cls.STOP


class Channel(Protocol):
    """Connection between a trial and the driver."""

    def report(self, report: Report) -> Answer:
        """Send a report; return what the trial does next."""

    def interrupted(self) -> bool:
        """Return whether the sweep is being interrupted: the trial saves its state and ends.

        The trial calls this after every optimizer step, so it must not block.
        """


class TrialInterruptedError(Exception):
    """A trial was stopped on request before its end and can be continued."""


class StandaloneChannel:
    """Channel of a trial that runs without a driver."""

    def report(self, report: Report) -> Answer:
        """Let the trial continue."""
        return Answer.CONTINUE

    def interrupted(self) -> bool:
        """Return False."""
        return False


_STANDALONE = StandaloneChannel()
_channel: ContextVar[Channel] = ContextVar("channel")


def channel() -> Channel:
    """Return the channel of the trial that runs in this process."""
    return _channel.get(_STANDALONE)


@contextmanager
def connected(to: Channel) -> Iterator[None]:
    """Send reports of trials in the block to ``to``."""
    before = _channel.set(to)
    try:
        yield
    finally:
        _channel.reset(before)
