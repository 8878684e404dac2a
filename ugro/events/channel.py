"""Who hears a trial? The driver, over the channel that a slot connects; else nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from ugro.events.trial_report import Report


class Channel(Protocol):
    """What lies between a trial and the driver."""

    def report(self, report: Report) -> bool:
        """Hand a report over; the answer is whether the trial goes on."""

    def interrupted(self) -> bool:
        """Whether the sweep is being interrupted: the trial is to save itself and end.

        It is asked after every optimizer step and must not wait for anything.
        """


class TrialInterruptedError(Exception):
    """A trial has ended before its time, as it was asked to; it can be continued."""


class StandaloneChannel:
    """A channel that nobody listens to."""

    def report(self, report: Report) -> bool:
        """Let the trial go on."""
        return True

    def interrupted(self) -> bool:
        """Return False."""
        return False


_ALONE = StandaloneChannel()
_channel: ContextVar[Channel] = ContextVar("channel")


def channel() -> Channel:
    """The channel of the trial that runs in this process."""
    return _channel.get(_ALONE)


@contextmanager
def connected(to: Channel) -> Iterator[None]:
    """Within the block, trials report to ``to``."""
    before = _channel.set(to)
    try:
        yield
    finally:
        _channel.reset(before)
