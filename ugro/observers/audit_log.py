"""What happened, in order? Every event is appended to ``events.jsonl``."""

import errno
import logging
import os
from collections import deque
from pathlib import Path
from typing import BinaryIO

from ugro.events.event_log import as_line
from ugro.events.events import Event

log = logging.getLogger(__name__)


class AuditLog:
    """Appends each event and flushes it, so that nothing that happened is lost with the driver.

    What cannot be written, as the disk is full, is written with a later event.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: deque[bytes] = deque()
        self._in_trouble = False

    def observe(self, event: Event) -> None:
        """Write one line."""
        self._pending.append(f"{as_line(event)}\n".encode())
        try:
            # At once: other drivers of the study write there, too.
            with self._path.open("a+b", buffering=0) as file:
                while self._pending:
                    _append(file, self._pending[0])
                    self._pending.popleft()
            self._in_trouble = False
        except OSError as error:
            if not self._in_trouble:
                log.warning("%s cannot be written, trying again: %s", self._path, error)
            self._in_trouble = True


def _append(file: BinaryIO, line: bytes) -> None:
    """Append a line; one that was cut off before it is ended first.

    Raises:
        OSError: nothing of it was taken, or only a part: it is to be written again.
    """
    whole = line if _ends_whole(file) else b"\n" + line
    if file.write(whole) < len(whole):  # a disk takes what it has room for
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _ends_whole(file: BinaryIO) -> bool:
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
