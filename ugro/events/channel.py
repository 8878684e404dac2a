"""The channel over which a trial reports to the driver; a standalone trial has no listener."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from ugro.events.trial_report import Report


class Channel(Protocol):
    """Connection between a trial and the driver."""

    def report(self, report: Report) -> bool:
        """Send a report; return whether the trial continues."""

    def interrupted(self) -> bool:
        """Return whether the sweep is being interrupted: the trial saves its state and ends.

        The trial calls this after every optimizer step, so it must not block.
        """


class TrialInterruptedError(Exception):
    """A trial was stopped on request before its end and can be continued."""


class StandaloneChannel:
    """Channel of a trial that runs without a driver."""

    def report(self, report: Report) -> bool:
        """Let the trial continue."""
        return True

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
