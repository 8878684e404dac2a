"""Run a process that follows a study's event log and sends it to one tracker.

:mod:`ugro.tracking.exporter` starts it as ``python -m ugro.tracking.exporter_process``. The first
line of its input configures it. When the input ends, the driver has ended: the process sends the
remaining events and exits.
"""

import json
import logging
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from ugro.config import TrackingConfig
from ugro.logs import RedactingFormatter
from ugro.paths import TRACKING
from ugro.retries import back_off_seconds, one_line
from ugro.tracking.mlflow import SHORT_RETRIES
from ugro.tracking.outbox import Outbox
from ugro.tracking.trackers import trackers_of

POLL_SECONDS = 1.0
log = logging.getLogger(__name__)


class SendLock:
    """Lock that lets one process send a study to a tracker; a dead process releases it.

    Args:
        folder: the study's
        name: of the tracker
    """

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / TRACKING / f".{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path)

    def acquire(self) -> bool:
        """Acquire the lock if it is free; return whether this process holds it."""
        if not self._lock.is_locked:
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                return False
        return True

    def release(self) -> None:
        """Release the lock for another process."""
        self._lock.release()


def follow(
    outbox: Outbox, lock: SendLock, target: str, driver: IO[bytes], notify: Callable[[str], None]
) -> bool:
    """Send events while the driver runs, then the rest; return whether all were sent.

    Args:
        outbox: of the study
        lock: lets one of several drivers' processes send
        target: name and place of the tracker, for messages
        driver: file that reaches its end when the driver ends
        notify: logs a message in the driver
    """
    failed = 0
    while True:
        pause = back_off_seconds(failed) if failed else POLL_SECONDS
        ended = bool(select.select([driver], [], [], pause)[0])
        if not lock.acquire():
            if ended:
                return True
            continue
        try:
            outbox.send()
            if ended:
                outbox.send_files()
                outbox.close()
                return True
            failed = 0
        except Exception as error:  # a failing tracker must not stop the training
            message = f"{target} cannot be written, trying again: {one_line(error)}"
            log.warning(message, exc_info=not failed)
            if not failed:
                notify(message)
            failed += 1
            if ended:
                return False


def silence_mlflow() -> None:
    """Set MLflow's environment: no active run, telemetry or messages."""
    os.environ.pop("MLFLOW_RUN_ID", None)  # MLflow would write into that run
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def main() -> None:
    """Read the configuration from standard input and follow the study."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(asctime)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    silence_mlflow()
    for name, value in SHORT_RETRIES.items():
        os.environ.setdefault(name, value)
    messages = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries goes to the log file

    def notify(line: str) -> None:
        print(line, file=messages, flush=True)

    settings = json.loads(sys.stdin.buffer.readline())
    folder = Path(settings["folder"])
    config: Any = OmegaConf.merge(OmegaConf.structured(TrackingConfig), settings["tracking"])
    (tracker,) = trackers_of(OmegaConf.to_object(config), folder)  # type: ignore[arg-type]
    outbox = Outbox(folder, tracker)
    target = f"{tracker.name} at {tracker.where}"
    lock = SendLock(folder, tracker.name)
    sys.exit(0 if follow(outbox, lock, target, sys.stdin.buffer, notify) else 1)


if __name__ == "__main__":
    main()
