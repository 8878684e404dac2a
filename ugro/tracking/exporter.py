"""Start and supervise the processes that send a study to its trackers, one per tracker.

A process reads the event log itself, so an event costs the driver nothing: importing MLflow takes
seconds, and writing a run takes tens of milliseconds in which the driver would be blocked.
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
from ugro.paths import CODE, TRACKING
from ugro.shell import python
from ugro.tracking.outbox import count_pending
from ugro.tracking.trackers import only, trackers_of
from ugro.tracking.updates import Tracker

FINISH_SECONDS = 20.0  # to wait at the end of a sweep for pending events
log = logging.getLogger(__name__)
_exporters: list["Exporter"] = []  # in this process


@dataclass
class _Process:
    """A process that sends to one tracker until its standard input is closed."""

    tracker: Tracker
    settings: str
    running: subprocess.Popen[bytes] | None = None


class Exporter:
    """Start the processes with the study, and restart those that die.

    Args:
        folder: the study's
        config: the trackers
    """

    def __init__(self, folder: Path, config: TrackingConfig) -> None:
        self._folder = folder
        self._processes = [
            _Process(tracker, _settings(folder, only(config, tracker.name)))
            for tracker in trackers_of(config, folder)
        ]
        _exporters.append(self)

    def observe(self, event: Event) -> None:
        """Start or restart processes when the study starts or a trial ends."""
        if isinstance(event, StudyStarted | TrialFinished):
            for process in self._processes:
                if process.running is None or process.running.poll() is not None:
                    self._start(process)

    def finish(self) -> None:
        """Let the processes send the rest, results included; log what is missing."""
        until = time.monotonic() + FINISH_SECONDS
        for process in self._processes:
            if process.running is not None and process.running.stdin is not None:
                process.running.stdin.close()
        for process in self._processes:
            if process.running is None:
                continue
            try:
                process.running.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.running.kill()
                process.running.wait()
            self._log_result(process.tracker, sent=process.running.returncode == 0)

    def _start(self, process: _Process) -> None:
        folder = self._folder / TRACKING
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{process.tracker.name}.log").open("ab") as log_file:
            process.running = subprocess.Popen(
                [sys.executable, "-P", "-m", "ugro.tracking.exporter_process"],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_path())},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                start_new_session=True,  # Ctrl-C is for the driver only
            )
        assert process.running.stdin is not None
        assert process.running.stdout is not None
        process.running.stdin.write(process.settings.encode())
        process.running.stdin.flush()
        threading.Thread(target=_relay, args=[process.running.stdout], daemon=True).start()

    def _log_result(self, tracker: Tracker, sent: bool) -> None:
        if sent:
            log.info("%s is up to date; to view it: %s", tracker.name, tracker.view_hint)
            return
        count = count_pending(self._folder, tracker.name, tracker.where)
        what = f"{count} events" if count else "some files"
        command = shlex.join([python(), "-m", "ugro", "track", f"study.dir={self._folder}"])
        log.warning("%s is missing %s; send them with: %s", tracker.name, what, command)


def finish() -> None:
    """Finish all exporters of this process."""
    while _exporters:
        _exporters.pop().finish()


def _settings(folder: Path, config: TrackingConfig) -> str:
    """Return the first input line of a process; arguments would reveal passwords in URIs."""
    plain = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    return json.dumps({"folder": str(folder), "tracking": plain}) + "\n"


def _path() -> list[str]:
    """Return the import path on which the process finds this code."""
    before = os.environ.get("PYTHONPATH")
    return [str(CODE), *([before] if before else [])]


def _relay(output: IO[bytes]) -> None:
    """Copy the process's messages for users to the driver's log."""
    for line in output:
        log.warning("%s", line.decode(errors="replace").rstrip())
