"""What do Ctrl-C and SIGTERM do? Once, the sweep ends in order; twice, at once."""

import logging
import signal
import sys
from types import FrameType, TracebackType
from typing import Self

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Within the block, the first signal is taken note of and the second one raises."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def asked(self) -> bool:
        """Whether somebody wants the sweep to end."""
        return self._signal is not None

    def end(self) -> None:
        """End the process as the signal would have: 130 after Ctrl-C, 143 after SIGTERM."""
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + (self._signal or 0))

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.asked():
            self.end()
        self._signal = signum
        # A logger's lock may be held by what was interrupted.
        print("Interrupted: trials save themselves and end. Again: at once.", file=sys.stderr)
