"""Handling of Ctrl-C and SIGTERM: the first ends the sweep in order, the second at once."""

import logging
import signal
import sys
from types import FrameType, TracebackType
from typing import Self

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
MESSAGE = "Interrupted: trials save their state and end. Interrupt again to end at once."


class Interruption:
    """Context manager that records the first signal and ends the process at the second."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def requested(self) -> bool:
        """Whether the user has requested the end of the sweep."""
        return self._signal is not None

    def end(self) -> None:
        """End the process with the signal's exit code: 130 for Ctrl-C, 143 for SIGTERM."""
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + (self._signal or 0))

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.requested():
            self.end()
        self._signal = signum
        # No logging here: the interrupted code may hold a logger's lock.
        print(MESSAGE, file=sys.stderr)
