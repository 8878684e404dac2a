"""Where do log messages go? To these handlers, which ``conf/hydra/*_logging`` name."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from hydra.types import RunMode

from ugro.redaction import redacted

OWN = ("ugro", "__main__")  # whose messages are for people


class RedactingFormatter(logging.Formatter):
    """Messages and tracebacks without the passwords of URLs, whoever wrote them."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines."""
        return redacted(super().format(record))


class JsonFormatter(logging.Formatter):
    """A message as an object on a line of its own: time, level, logger, message, and any error."""

    def format(self, record: logging.LogRecord) -> str:
        """The object, as JSON."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return redacted(json.dumps(said, ensure_ascii=False))


class Terminal(logging.StreamHandler[TextIO]):
    """Standard output: in a sweep UGRO's own messages, where a single trial is run everything.

    Beside a live display only warnings are shown, above it. So that the display can move them
    there, they are written to what ``sys.stdout`` is at that moment.

    Args:
        mode: Hydra's
        least: the level that a message in a sweep must have to be shown
    """

    def __init__(self, mode: RunMode | None, least: str) -> None:
        super().__init__(sys.stdout)
        self._in_a_sweep = mode is RunMode.MULTIRUN
        self._least = logging.getLevelNamesMapping()[least]

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown."""
        if self._in_a_sweep:
            least = max(self._least, logging.WARNING) if _is_taken(sys.stdout) else self._least
            if record.name.partition(".")[0] not in OWN or record.levelno < least:
                return False
        return bool(super().filter(record))

    def format(self, record: logging.LogRecord) -> str:
        """In a sweep only what is not as it should be tells its level."""
        told_apart = isinstance(self.formatter, JsonFormatter)
        if self._in_a_sweep and record.levelno >= logging.WARNING and not told_apart:
            told = f"{record.levelname.lower()}: {record.msg}"
            record = logging.makeLogRecord({**vars(record), "msg": told})
        return super().format(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        self.stream = sys.stdout
        super().emit(record)


class SweepLogHandler(logging.FileHandler):
    """A file in the study's folder, which is made later than the first messages are.

    A disk that is full takes nothing from the terminal, and others tell of it.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", delay=True)
        self._early: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or keep it until there is a folder."""
        if not os.path.isdir(os.path.dirname(self.baseFilename)):
            self._early.append(record)
            return
        early, self._early = self._early, []
        try:
            for one in (*early, record):
                super().emit(one)
        except OSError:  # it could not be opened
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, logging's name for it
        """Say nothing."""


def use_root_handlers(library: str) -> None:
    """Have a library's messages go the same way, not through a handler of its own."""
    logger = logging.getLogger(library)
    logger.handlers.clear()
    logger.propagate = True


def _is_taken(stream: object) -> bool:
    """Whether a live display of rich's has put itself in the stream's place."""
    return hasattr(stream, "rich_proxied_file")
