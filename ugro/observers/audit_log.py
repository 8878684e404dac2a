"""Append every event to ``events.jsonl``, the audit log of a study."""

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
    """Append each event at once, so that a crash of the driver loses none.

    Events that cannot be written, for example on a full disk, are written with a later one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: deque[bytes] = deque()
        self._is_failing = False

    def observe(self, event: Event) -> None:
        """Append the event as one line."""
        self._pending.append(f"{as_line(event)}\n".encode())
        try:
            # Unbuffered: other drivers of the study append to the same file.
            with self._path.open("a+b", buffering=0) as file:
                while self._pending:
                    _append(file, self._pending[0])
                    self._pending.popleft()
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                log.warning("%s cannot be written, trying again: %s", self._path, error)
            self._is_failing = True


def _append(file: BinaryIO, line: bytes) -> None:
    """Append a line; a truncated line before it is terminated first.

    Raises:
        OSError: the line was not written, or only in part; the caller writes it again.
    """
    complete = line if _ends_with_newline(file) else b"\n" + line
    if file.write(complete) < len(complete):  # a full disk writes a part
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _ends_with_newline(file: BinaryIO) -> bool:
    if not file.seek(0, os.SEEK_END):
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
