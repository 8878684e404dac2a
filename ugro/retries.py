"""Retry transient errors with exponential backoff."""

import errno
import logging
import threading
from collections.abc import Callable

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

from ugro.redaction import redacted

# A disk or network folder that is temporarily full or unreachable.
TRANSIENT_ERRNOS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
)
MAX_WAIT_SECONDS = 20.0
OUTAGE_SECONDS = 15 * 60.0  # tolerated outage of a server, disk or network
log = logging.getLogger(__name__)


def retrying(
    is_transient: Callable[[BaseException], bool],
    what: str,
    seconds: float = OUTAGE_SECONDS,
    hurry: threading.Event | None = None,
) -> Retrying:
    """Return a caller that repeats a function while it raises transient errors.

    Use it as ``retrying(is_transient, what)(function, *arguments)``.

    Args:
        is_transient: whether to retry after an error
        what: message that is logged at the first error
        seconds: time after which the error is raised
        hurry: when set, the error is raised after one last attempt
    """
    hurry = hurry or threading.Event()

    def log_first(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            log.warning("%s, trying again: %s", what, one_line(state.outcome.exception()))

    return Retrying(
        retry=retry_if_exception(is_transient),
        wait=wait_random_exponential(multiplier=0.2, max=MAX_WAIT_SECONDS),
        stop=stop_after_delay(seconds) | stop_when_event_set(hurry),
        sleep=sleep_using_event(hurry),
        before_sleep=log_first,
        reraise=True,
    )


def one_line(error: BaseException | None) -> str:
    """Format an error as its class and first line, or the last line of an embedded traceback."""
    lines = str(error).strip().splitlines() or [""]
    message = lines[-1] if "Traceback (most recent call last):" in lines else lines[0]
    return redacted(f"{type(error).__name__}: {message}")


def is_disk_trouble(error: BaseException | None) -> bool:
    """Whether a file is temporarily not writable; not every library raises OSError."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in TRANSIENT_ERRNOS
    return any(f"(os error {number})" in str(error) for number in TRANSIENT_ERRNOS)  # from Rust


def back_off_seconds(times: int) -> float:
    """Return the wait before the next attempt, in seconds.

    Args:
        times: failed attempts so far
    """
    return min(0.5 * 2.0**times, MAX_WAIT_SECONDS)
