"""Run a process that follows a study's event log and sends it to one tracker.

:mod:`ugro.tracking.exporter` starts it as ``python -m ugro.tracking.exporter_process``. The first
line of its input says what to send where. When the input ends, the driver has ended: the process
sends what is left and exits.
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
from ugro.tracking.mlflow import IMPATIENT
from ugro.tracking.outbox import Outbox
from ugro.tracking.trackers import trackers_of

LOOK_SECONDS = 1.0
log = logging.getLogger(__name__)


class OneAtATime:
    """A lock on a study's destination; the system lets go of it with its process.

    Args:
        folder: the study's
        name: the destination's
    """

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / TRACKING / f".{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path)

    def is_mine(self) -> bool:
        """Whether this process has it, or can have it now."""
        if not self._lock.is_locked:
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                return False
        return True

    def release(self) -> None:
        """Let another have it."""
        self._lock.release()


def follow(
    outbox: Outbox, lock: OneAtATime, what: str, driver: IO[bytes], tell: Callable[[str], None]
) -> bool:
    """Send what happens while the driver runs, then the rest; whether all was sent.

    Args:
        outbox: of the study
        lock: of several drivers' processes one sends
        what: is sent to, for people
        driver: a file that ends with it
        tell: its log
    """
    failed = 0
    while True:
        pause = back_off_seconds(failed) if failed else LOOK_SECONDS
        ended = bool(select.select([driver], [], [], pause)[0])
        if not lock.is_mine():
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
        except Exception as error:  # whatever a tracker does, training goes on
            told = f"{what} cannot be written, trying again: {one_line(error)}"
            log.warning(told, exc_info=not failed)
            if not failed:
                tell(told)
            failed += 1
            if ended:
                return False


def calm() -> None:
    """Have MLflow mind nothing but what it is told, and tell nobody of it."""
    os.environ.pop("MLFLOW_RUN_ID", None)  # it would write into that run
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def main() -> None:
    """Read what to send where, and do it."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(asctime)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    calm()
    for name, value in IMPATIENT.items():
        os.environ.setdefault(name, value)
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to the log file

    def tell(line: str) -> None:
        print(line, file=own, flush=True)

    said = json.loads(sys.stdin.buffer.readline())
    folder = Path(said["folder"])
    config: Any = OmegaConf.merge(OmegaConf.structured(TrackingConfig), said["tracking"])
    (destination,) = trackers_of(OmegaConf.to_object(config), folder)  # type: ignore[arg-type]
    outbox = Outbox(folder, destination)
    what = f"{destination.name} at {destination.where}"
    lock = OneAtATime(folder, destination.name)
    sys.exit(0 if follow(outbox, lock, what, sys.stdin.buffer, tell) else 1)


if __name__ == "__main__":
    main()
