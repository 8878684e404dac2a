"""Sweeps of scripted trials, as processes that can be killed, and what they leave."""

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

# What comes after a sweep is tested elsewhere.
NOTHING_AFTER = ("study.analysis=false", "tracking=none")
SPACE = "lora.r=int(interval(1,1000000))"
TWO_SLOTS = ("++hydra.launcher.ray.init.num_cpus=2", "hydra.launcher.ray.remote.num_gpus=0")
FOUR_SLOTS = ("++hydra.launcher.ray.init.num_cpus=4", "hydra.launcher.ray.remote.num_gpus=0")


def _hears_signals() -> None:
    """A shell lets what it runs in the background ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Sweep:
    """A driver process.

    Args:
        folder: below which the study is
        overrides: of the command line
        faults: what the trials are told, see ``scripted.py``
        environment: variables of its own
        log: where it prints to; by default in the folder
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
        with log.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(script), "-m", *NOTHING_AFTER, *overrides],
                cwd=folder,
                env={**os.environ, "FAULTS": json.dumps(faults or {}), **(environment or {})},
                stdout=output,
                stderr=output,
                preexec_fn=_hears_signals,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def said(self) -> str:
        """What all drivers in this folder have printed."""
        return self._log.read_text()

    def ends(self, seconds: float = 240) -> int:
        """Wait for it; its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(self.said()) from error

    def is_killed(self) -> None:
        """By SIGKILL, as it stands."""
        self.process.kill()
        self.process.wait(10)


def swept(
    folder: Path,
    *overrides: str,
    faults: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a sweep to its good end; what it printed."""
    with Sweep(folder, overrides, faults, environment) as sweep:
        code = sweep.ends()
        assert code == 0, sweep.said()
        return sweep.said()


def wait_for(what: Any, seconds: float = 90) -> None:
    """Until ``what()`` is true."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def events(study: Path, kind: str) -> list[dict[str, Any]]:
    """The events of a kind in the audit log."""
    return [said for said in read_log(study / "events.jsonl") if said["event"] == kind]


def study_in(folder: Path, name: str = "s", storage: str | None = None) -> Study:
    """The study's record."""
    return read(name, storage or f"sqlite:///{folder}/multirun/{name}/study.db")


def attempts(trial: Path) -> list[dict[str, Any]]:
    """What a trial has noted of itself."""
    return [json.loads(line) for line in (trial / f"{trial.name}.jsonl").read_text().splitlines()]


def check_complete(folder: Path, total: int, name: str = "s", storage: str | None = None) -> None:
    """That ``total`` distinct trials are complete, none lost, none run from zero in vain.

    Log and study agree, else the audit exits.
    """
    trials = study_in(folder, name, storage).trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * total
    assert len({str(trial.params) for trial in trials}) == total
    study = folder / "multirun" / name
    for trial in trials:
        check_went_on(study / "trials" / f"{trial.number:04d}")
    given = [f"storage={storage}"] if storage else []
    audit([f"study.name={name}", f"study.dir={study}", *given])


def check_went_on(trial: Path) -> None:
    """That each attempt began at the last checkpoint that the one before had sealed, or later."""
    sealed = 0
    for one in attempts(trial):
        if one["what"] == "sealed":
            sealed = one["step"]
        if one["what"] == "began":
            assert one["step"] >= sealed, trial


def check_alike(one: Sequence[FrozenTrial], other: Sequence[FrozenTrial]) -> None:
    """That two studies have the same trials with the same values."""
    assert [(t.number, t.params, t.values) for t in one] == [
        (t.number, t.params, t.values) for t in other
    ]
