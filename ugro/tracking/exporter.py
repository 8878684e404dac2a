"""Who sends a study to its trackers while it runs? A process a tracker, beside the driver.

It reads the audit log by itself, so that an event costs the driver nothing: importing MLflow takes
seconds, and writing a trial's run tens of milliseconds, in which Python would do nothing else.
"""

import json
import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from omegaconf import OmegaConf

from ugro.config import TrackingConfig
from ugro.events.events import Event, StudyStarted, TrialFinished
from ugro.paths import TRACKING
from ugro.shell import python
from ugro.tracking.outbox import left
from ugro.tracking.trackers import alone, trackers_of
from ugro.tracking.updates import Tracker

CODE = Path(__file__).parents[2]
END_SECONDS = 20.0  # that are waited at the end of a sweep, while something is being sent
log = logging.getLogger(__name__)
_couriers: list["Exporter"] = []  # of this process


@dataclass
class _Process:
    """Sends to one tracker until its standard input ends."""

    to: Tracker
    settings: str
    running: subprocess.Popen[bytes] | None = None


class Exporter:
    """Starts the processes with the study, and again should they die.

    Args:
        folder: the study's
        config: the trackers
    """

    def __init__(self, folder: Path, config: TrackingConfig) -> None:
        self._folder = folder
        self._processes = [
            _Process(one, _settings(folder, alone(config, one.name)))
            for one in trackers_of(config, folder)
        ]
        _couriers.append(self)

    def observe(self, event: Event) -> None:
        """Look after the processes."""
        if isinstance(event, StudyStarted | TrialFinished):
            for one in self._processes:
                if one.running is None or one.running.poll() is not None:
                    self._start(one)

    def finish(self) -> None:
        """Have the rest sent, the results included; say what could not be."""
        until = time.monotonic() + END_SECONDS
        for one in self._processes:
            if one.running is not None and one.running.stdin is not None:
                one.running.stdin.close()
        for one in self._processes:
            if one.running is None:
                continue
            try:
                one.running.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                one.running.kill()
                one.running.wait()
            self._tell(one.to, sent=one.running.returncode == 0)

    def _start(self, one: _Process) -> None:
        folder = self._folder / TRACKING
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{one.to.name}.log").open("ab") as its_log:
            one.running = subprocess.Popen(
                [sys.executable, "-P", "-m", "ugro.tracking.exporter_process"],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_path())},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=its_log,
                start_new_session=True,  # Ctrl-C is the driver's
            )
        assert one.running.stdin is not None
        assert one.running.stdout is not None
        one.running.stdin.write(one.settings.encode())
        one.running.stdin.flush()
        threading.Thread(target=_relay, args=[one.running.stdout], daemon=True).start()

    def _tell(self, to: Tracker, sent: bool) -> None:
        if sent:
            log.info("%s has it all; to look at it: %s", to.name, to.look)
            return
        count = left(self._folder, to.name, to.where)
        what = f"{count} events" if count else "some files"
        command = shlex.join([python(), "-m", "ugro", "track", f"study.dir={self._folder}"])
        log.warning("%s has not got %s yet; this sends them: %s", to.name, what, command)


def finish() -> None:
    """Have the rest sent of all that this process has run."""
    while _couriers:
        _couriers.pop().finish()


def _settings(folder: Path, config: TrackingConfig) -> str:
    """A line that the process reads: it may hold a URI with a password."""
    plain = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    return json.dumps({"folder": str(folder), "tracking": plain}) + "\n"


def _path() -> list[str]:
    """Where the process finds the code that this one runs."""
    before = os.environ.get("PYTHONPATH")
    return [str(CODE), *([before] if before else [])]


def _relay(said: IO[bytes]) -> None:
    """What people must know goes to the driver's log."""
    for line in said:
        log.warning("%s", line.decode(errors="replace").rstrip())
