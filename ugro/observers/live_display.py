"""Show a live display while a study runs on a terminal."""

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType

from ugro.events.events import Event, SlotsCounted, StudyFinished
from ugro.events.study_state import StudyState
from ugro.observers.display import Display

log = logging.getLogger(__name__)
REFRESH_SECONDS = 0.5
MAX_CPU_SHARE = 0.05  # many trials are rendered less often
CLOSE_SECONDS = 5.0  # limit for a render in progress


class LiveDisplay:
    """Show the study while it runs, and clear the display at its end.

    The driver only puts events into a queue; a thread reads and renders them. Printed or logged
    output appears above the display.

    Args:
        state: of the study before its first event
        console: the terminal
        clock: Unix time
    """

    def __init__(
        self,
        state: StudyState,
        console: Console,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._console = console
        self._clock = clock
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._shown = Display(state, 0.0)
        self._width = console.width

    def observe(self, event: Event) -> None:
        """Queue an event; the first slots start the display, the end of the study closes it."""
        if self._closed.is_set():
            return
        self._events.put(event)
        if isinstance(event, SlotsCounted) and self._thread.ident is None:
            self._start()
        elif isinstance(event, StudyFinished):
            self.close()

    def close(self) -> None:
        """Clear the display and restore the terminal."""
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)

    def _start(self) -> None:
        try:
            self._live.start()
            self._thread.start()
        except Exception:
            self._end()
            raise

    def _run(self) -> None:
        try:
            took = self._refresh()
            while not self._closed.wait(max(REFRESH_SECONDS, took / MAX_CPU_SHARE)):
                took = self._refresh()
        except Exception:  # a failing display must not stop the training
            log.exception("The live display failed, plain lines follow")
        finally:
            self._end()

    def _end(self) -> None:
        self._closed.set()
        self._live.update("")
        self._live.stop()

    def _refresh(self) -> float:
        """Render again; return the processor time used in seconds."""
        started = time.thread_time()
        for _ in range(self._events.qsize()):
            self._state.observe(self._events.get())
        self._state.observe_others()
        width = self._console.width
        if width < self._width:
            self._console.control(_erase_wrapped(self._shown.widths, width))
        self._width = width
        self._shown = Display(self._state, self._clock())
        self._live.update(self._shown, refresh=True)
        return time.thread_time() - started


def _erase_wrapped(widths: list[int], width: int) -> Control:
    """Move up over the rows that a narrower terminal wrapped, and erase them."""
    rows = sum((wide - 1) // width for wide in widths if wide)
    up = [(ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)]
    return Control(*up * rows)


def is_watched(console: Console) -> bool:
    """Whether the console is a terminal with cursor control: no pipe, file or dumb terminal."""
    return console.file.isatty() and console.is_interactive
