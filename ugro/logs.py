"""Logging handlers and formatters that ``conf/hydra/*_logging`` names."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from hydra.types import RunMode

from ugro.redaction import redacted

OWN = ("ugro", "__main__")  # loggers whose messages the terminal of a sweep shows


class RedactingFormatter(logging.Formatter):
    """Formatter that redacts passwords of URLs in messages and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record and redact passwords."""
        return redacted(super().format(record))


class JsonFormatter(logging.Formatter):
    """Formatter that writes one JSON object per line: time, level, logger, message, any error."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record as JSON and redact passwords."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return redacted(json.dumps(fields, ensure_ascii=False))


class Terminal(logging.StreamHandler[TextIO]):
    """Handler for standard output: UGRO's own messages in a sweep, all messages in a single trial.

    While a live display is shown, only warnings pass. They go to the current ``sys.stdout``, which
    lets the display print them above itself.

    Args:
        mode: Hydra's run mode
        least: minimum level of messages shown in a sweep
    """

    def __init__(self, mode: RunMode | None, least: str) -> None:
        super().__init__(sys.stdout)
        self._in_a_sweep = mode is RunMode.MULTIRUN
        self._least = logging.getLevelNamesMapping()[least]

    def filter(self, record: logging.LogRecord) -> bool:
        """Select the records to show."""
        if self._in_a_sweep:
            level = self._least
            if _has_live_display(sys.stdout):
                level = max(level, logging.WARNING)
            if record.name.partition(".")[0] not in OWN or record.levelno < level:
                return False
        return bool(super().filter(record))

    def format(self, record: logging.LogRecord) -> str:
        """Format the record; in a sweep only warnings and errors show their level."""
        has_level = isinstance(self.formatter, JsonFormatter)
        if self._in_a_sweep and record.levelno >= logging.WARNING and not has_level:
            message = f"{record.levelname.lower()}: {record.msg}"
            record = logging.makeLogRecord({**vars(record), "msg": message})
        return super().format(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record to the current standard output."""
        self.stream = sys.stdout
        super().emit(record)


class SweepLogHandler(logging.FileHandler):
    """Handler for a file in the study's folder; buffers messages until the folder exists.

    Write errors, as of a full disk, are ignored here: they are reported elsewhere, and the terminal
    still shows the messages.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", delay=True)
        self._early: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or buffer it until the folder exists."""
        if not os.path.isdir(os.path.dirname(self.baseFilename)):
            self._early.append(record)
            return
        early, self._early = self._early, []
        try:
            for buffered in (*early, record):
                super().emit(buffered)
        except OSError:  # the file could not be opened
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, logging's name for it
        """Ignore write errors."""


def use_root_handlers(library: str) -> None:
    """Route a library's messages to the root handlers instead of its own."""
    logger = logging.getLogger(library)
    logger.handlers.clear()
    logger.propagate = True


def _has_live_display(stream: object) -> bool:
    """Whether a live display of rich has replaced the stream."""
    return hasattr(stream, "rich_proxied_file")
