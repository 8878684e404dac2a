"""What happened, in order? Every event is appended to ``events.jsonl``."""

import logging
import os
from pathlib import Path

from ugro.event_log import as_line
from ugro.events import Event

log = logging.getLogger(__name__)


class AuditLog:
    """Appends each event and flushes it, so that nothing that happened is lost with the driver.

    What cannot be written, as the disk is full, is written with a later event.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending = [] if _ends_whole(path) else [""]  # ends a line that was cut off
        self._in_trouble = False

    def observe(self, event: Event) -> None:
        """Write one line."""
        self._pending.append(as_line(event))
        try:
            # At once: other drivers of the study write there, too.
            with self._path.open("ab", buffering=0) as file:
                file.write("".join(f"{line}\n" for line in self._pending).encode())
            self._pending, self._in_trouble = [], False
        except OSError as error:
            if not self._in_trouble:
                log.warning("%s cannot be written, trying again: %s", self._path, error)
            self._in_trouble = True


def _ends_whole(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
