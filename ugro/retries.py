"""How is trouble borne that may be over the next time? By trying again, ever more slowly."""

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

# Of a disk or a network folder that is full or gone for a while.
PASSING = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
)
LONGEST_WAIT_SECONDS = 20.0
OUTAGE_SECONDS = 15 * 60.0  # a server, a disk or a network may be gone that long
log = logging.getLogger(__name__)


def retrying(
    is_trouble: Callable[[BaseException], bool],
    what: str,
    seconds: float = OUTAGE_SECONDS,
    hurry: threading.Event | None = None,
) -> Retrying:
    """Call it with a function and its arguments: that is tried until trouble is over.

    Args:
        is_trouble: whether an error is of the kind that passes
        what: cannot be done meanwhile; it is logged once
        seconds: after which the error is raised
        hurry: once it is set, the error is raised after a last try
    """
    hurry = hurry or threading.Event()

    def tell(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            log.warning("%s, trying again: %s", what, one_line(state.outcome.exception()))

    return Retrying(
        retry=retry_if_exception(is_trouble),
        wait=wait_random_exponential(multiplier=0.2, max=LONGEST_WAIT_SECONDS),
        stop=stop_after_delay(seconds) | stop_when_event_set(hurry),
        sleep=sleep_using_event(hurry),
        before_sleep=tell,
        reraise=True,
    )


def one_line(error: BaseException | None) -> str:
    """An error's name and the first line of what it says: the last of a traceback it brings."""
    lines = str(error).strip().splitlines() or [""]
    said = lines[-1] if "Traceback (most recent call last):" in lines else lines[0]
    return redacted(f"{type(error).__name__}: {said}")


def is_disk_trouble(error: BaseException | None) -> bool:
    """Whether a file could not be written for now; not every library raises OSError."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in PASSING
    return any(f"(os error {number})" in str(error) for number in PASSING)  # as Rust says it


def back_off_seconds(times: int) -> float:
    """How long to wait before a further try.

    Args:
        times: that it was tried in vain
    """
    return min(0.5 * 2.0**times, LONGEST_WAIT_SECONDS)
