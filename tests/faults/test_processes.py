"""A trial in several processes, one of which is killed in a sweep."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from optuna.trial import TrialState

from ..conftest import QUICK
from .sweeps import events, study_in

PARALLEL = (
    "training.parallel=fsdp",
    "training.processes=2",
    "hydra.launcher.ray.remote.num_cpus=2",
)
Command = Callable[..., subprocess.CompletedProcess[str]]


def processes_in(folder: Path) -> list[int]:
    """Return the processes of trials whose working folder is this."""
    found = subprocess.run(
        ["pgrep", "--full", "ugro.trial.parallel.rank"], capture_output=True, text=True
    )
    started = map(int, found.stdout.split())
    return [pid for pid in started if os.path.realpath(f"/proc/{pid}/cwd") == str(folder)]


@pytest.mark.faults
def test_a_sweep_resumes_a_trial_that_has_lost_a_process(train_py: Command, tmp_path: Path) -> None:
    reports = tmp_path / "multirun" / "s" / "trials" / "0000" / "metrics.jsonl"

    def kill_one() -> None:
        while not reports.exists() or '"step": 60' not in reports.read_text():
            time.sleep(0.1)
        os.kill(processes_in(tmp_path)[-1], signal.SIGKILL)

    killer = Thread(target=kill_one, daemon=True)
    killer.start()
    length = ("training.max_steps=400", "training.eval_steps=20", "scheduler=none")
    ended = train_py("-m", "study.name=s", *QUICK, *length, "lora.r=4,8", *PARALLEL)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not killer.is_alive()
    assert [trial.state for trial in study_in(tmp_path).trials()] == [TrialState.COMPLETE] * 2
    [retry] = events(tmp_path / "multirun" / "s", "TrialRetried")
    assert retry["number"] == 0
    assert "was ended by SIGKILL" in retry["why"]
    steps = [line.split(",")[0] for line in reports.read_text().splitlines()]
    assert steps == [f'{{"step": {step}' for step in range(0, 401, 20)]  # none lost, none twice
    assert not processes_in(tmp_path)
