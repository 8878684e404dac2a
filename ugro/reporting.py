"""Who hears a trial's reports? The driver, over the line that a slot connects; else nobody."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ugro.report import Report

Line = Callable[[Report], bool]  # takes a report, answers whether the trial goes on


def _alone(report: Report) -> bool:
    return True


_line: ContextVar[Line] = ContextVar("line", default=_alone)


def line() -> Line:
    """The line of the trial that runs in this process."""
    return _line.get()


@contextmanager
def connected(to: Line) -> Iterator[None]:
    """Within the block, trials report to ``to``."""
    before = _line.set(to)
    try:
        yield
    finally:
        _line.reset(before)
