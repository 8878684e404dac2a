"""Sweeps of scripted trials as processes that can be killed, and checks of their results."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from optuna.trial import FrozenTrial, TrialState

from ugro.cli.audit import main as audit
from ugro.events.event_log import read as read_log
from ugro.study.study import Study, read

from ..conftest import ROOT
from ..forked import Forked

# Analysis and tracking are tested elsewhere; without a fault every trial is complete.
DEFAULTS = ("study.analysis=false", "tracking=none", "scheduler=none")
SPACE = "lora.r=int(interval(1,1000000))"
TWO_SLOTS = ("++hydra.launcher.ray.init.num_cpus=2", "hydra.launcher.ray.remote.num_gpus=0")
FOUR_SLOTS = ("++hydra.launcher.ray.init.num_cpus=4", "hydra.launcher.ray.remote.num_gpus=0")


def _handle_sigint() -> None:
    """Handle SIGINT, which background processes of a shell ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Sweep:
    """A driver process.

    Args:
        folder: parent of the study's folder
        overrides: of the command line
        faults: script of the trials, see ``scripted.py``
        environment: additional variables
        log: file of its output; by default in the folder
    """

    def __init__(
        self,
        folder: Path,
        overrides: Sequence[str],
        faults: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        script = ROOT / "tests" / "faults" / "scripted.py"
        log = self._log = log or folder / "driver.log"
        log.touch()
        arguments = ["-m", *DEFAULTS, *overrides]
        variables = {**os.environ, "FAULTS": json.dumps(faults or {}), **(environment or {})}
        self.process: Forked | subprocess.Popen[bytes]
        if not environment:
            self.process = Forked(script, arguments, folder, variables, log, log)
            return
        with log.open("a") as output:  # Ray reads its variables when it is imported
            self.process = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                cwd=folder,
                env=variables,
                stdout=output,
                stderr=output,
                preexec_fn=_handle_sigint,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has no group of its own yet
                self.process.kill()

    def output(self) -> str:
        """Return the output of all drivers in this folder."""
        return self._log.read_text()

    def ends(self, seconds: float = 240) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(self.output()) from error

    def is_killed(self) -> None:
        """Kill the driver with SIGKILL."""
        self.process.kill()
        self.process.wait(10)


def swept(
    folder: Path,
    *overrides: str,
    faults: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a sweep to its successful end and return its output."""
    with Sweep(folder, overrides, faults, environment) as sweep:
        code = sweep.ends()
        assert code == 0, sweep.output()
        return sweep.output()


def wait_for(what: Any, seconds: float = 90) -> None:
    """Wait until ``what()`` is true."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def events(study: Path, kind: str) -> list[dict[str, Any]]:
    """Return the events of a kind in the audit log."""
    return [event for event in read_log(study / "events.jsonl") if event["event"] == kind]


def study_in(folder: Path, name: str = "s", storage: str | None = None) -> Study:
    """Return the study's record."""
    return read(name, storage or f"sqlite:///{folder}/multirun/{name}/study.db")


def attempts(trial: Path) -> list[dict[str, Any]]:
    """Return the notes of a trial's attempts."""
    return [json.loads(line) for line in (trial / f"{trial.name}.jsonl").read_text().splitlines()]


def check_complete(folder: Path, total: int, name: str = "s", storage: str | None = None) -> None:
    """Assert that ``total`` distinct trials are complete and none restarted from zero in vain.

    The audit also asserts that log and study agree.
    """
    trials = study_in(folder, name, storage).trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * total
    assert len({str(trial.params) for trial in trials}) == total
    study = folder / "multirun" / name
    for trial in trials:
        check_resumed(study / "trials" / f"{trial.number:04d}")
    given = [f"storage={storage}"] if storage else []
    audit([f"study.name={name}", f"study.dir={study}", *given])


def check_resumed(trial: Path) -> None:
    """Assert that each attempt started at the last sealed checkpoint, or later."""
    sealed = 0
    for note in attempts(trial):
        if note["what"] == "sealed":
            sealed = note["step"]
        if note["what"] == "began":
            assert note["step"] >= sealed, trial


def check_alike(trials: Sequence[FrozenTrial], other: Sequence[FrozenTrial]) -> None:
    """Assert that two studies have the same trials with the same values."""
    assert [(t.number, t.params, t.values) for t in trials] == [
        (t.number, t.params, t.values) for t in other
    ]
