"""How far is the study? On a terminal a live display tells; elsewhere there are plain lines."""

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
SHARE = 0.05  # of a processor, at most: many trials are drawn less often
CLOSE_SECONDS = 5.0  # that a display which is being drawn may take to end


class LiveDisplay:
    """Shows the study while it runs, and leaves nothing behind.

    The driver only puts events into a queue; a thread reads them and draws. What is printed or
    logged meanwhile appears above the display.

    Args:
        standing: of the study before its first event
        console: the terminal
        clock: Unix time
    """

    def __init__(
        self,
        standing: StudyState,
        console: Console,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._standing = standing
        self._console = console
        self._clock = clock
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._shown = Display(standing, 0.0)
        self._width = console.width

    def observe(self, event: Event) -> None:
        """Take note of an event; the first slots begin the display, the study's end ends it."""
        if self._closed.is_set():
            return
        self._events.put(event)
        if isinstance(event, SlotsCounted) and self._thread.ident is None:
            self._begin()
        elif isinstance(event, StudyFinished):
            self.close()

    def close(self) -> None:
        """Take the display away; the terminal is as it was before."""
        self._closed.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)

    def _begin(self) -> None:
        try:
            self._live.start()
            self._thread.start()
        except Exception:
            self._end()
            raise

    def _run(self) -> None:
        try:
            took = self._refresh()
            while not self._closed.wait(max(REFRESH_SECONDS, took / SHARE)):
                took = self._refresh()
        except Exception:  # whatever is wrong with the display, training goes on
            log.exception("The live display failed, plain lines follow")
        finally:
            self._end()

    def _end(self) -> None:
        self._closed.set()
        self._live.update("")
        self._live.stop()

    def _refresh(self) -> float:
        """Draw anew; returns the seconds of processor time that it took."""
        began = time.thread_time()
        for _ in range(self._events.qsize()):
            self._standing.observe(self._events.get())
        self._standing.observe_others()
        width = self._console.width
        if width < self._width:
            self._console.control(_over_what_wraps(self._shown.widths, width))
        self._width = width
        self._shown = Display(self._standing, self._clock())
        self._live.update(self._shown, refresh=True)
        return time.thread_time() - began


def _over_what_wraps(widths: list[int], width: int) -> Control:
    """Up over the rows that a terminal adds to lines which no longer fit, and erase them."""
    rows = sum((wide - 1) // width for wide in widths if wide)
    up = [(ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)]
    return Control(*up * rows)


def is_watched(console: Console) -> bool:
    """Whether the console is a terminal that can be drawn on; no pipe, no file, not a dumb one."""
    return console.file.isatty() and console.is_interactive
