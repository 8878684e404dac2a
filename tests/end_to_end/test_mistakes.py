"""Mistakes, failures and signals, through the command line."""

import os
import signal
import time
from pathlib import Path

import pytest

from ugro.sweep.drivers import Drivers

from ..conftest import QUICK, ROOT
from ..forked import Forked
from .studies import IN_PROCESS, TrainPy, table


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (["constraints.expressions=['lora.r > 8']"], "lora.r > 8 removes 100.0% of 1,000 samples"),
        (["constraints.expressions=['lora.rank > 8']"], "lora.rank > 8: 'lora.rank' given"),
        (["scheduler=asha", "scheduler.reduction_factor=1"], "scheduler.reduction_factor: 1.0"),
        (["study.enqueue=[{lora.r: 3}]"], "study.enqueue: lora.r: 3 given, allowed: 2, 4"),
        (
            [
                "lora.dropout=interval(0,0.5)",
                "hydra.sweeper.n_trials=2",
                "hydra/sweeper/sampler=grid",
            ],
            "hydra/sweeper/sampler: 'grid' given, allowed: another, as the space is continuous",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(
    asked: list[str], line: str, train_py: TrainPy, tmp_path: Path
) -> None:
    done = train_py("-m", *QUICK, IN_PROCESS, "lora.r=2,4", *asked)
    assert done.returncode != 0
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "multirun").exists()


def test_a_searched_value_that_is_impossible_starts_nothing(
    train_py: TrainPy, tmp_path: Path
) -> None:
    done = train_py("-m", *QUICK, IN_PROCESS, "lora.r=8,0", "lora.dropout=0,1.5")
    assert done.returncode != 0
    assert "lora.r: 0 given, allowed: 1 or more" in done.stderr
    assert "lora.dropout: 1.5 given" in done.stderr
    assert not (tmp_path / "multirun").exists()


def state_of(folder: Path) -> dict[str, int]:
    """When each file of a study was last written; less what every command leaves."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "sweep.log")
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in files
        if path.suffix not in (".lock", ".db-shm", ".db-wal") and path.name != "door"
    }


def test_a_command_that_is_refused_leaves_the_study_as_it_is(
    train_py: TrainPy, tmp_path: Path
) -> None:
    asked = ["-m", *QUICK, IN_PROCESS, "study.name=s"]
    study = tmp_path / "multirun" / "s"
    nobody = "postgresql+psycopg://me@127.0.0.1:1/studies"
    refused = train_py(*asked, "lora.r=2,4", f"hydra.sweeper.storage='{nobody}'")
    assert refused.returncode == 1
    rejected = f"hydra.sweeper.storage: '{nobody}' given, allowed: a reachable"
    assert refused.stderr.startswith(rejected)
    assert "Traceback" not in refused.stderr + refused.stdout
    assert state_of(study) == {}
    done = train_py(*asked, "lora.r=2,4")
    assert done.returncode == 0, done.stderr
    before = state_of(study)
    assert "trials.csv" in before
    refused = train_py(*asked, "lora.r=1,2")
    assert "lora.r: '1, 2' given, allowed: 2, 4" in refused.stderr
    with Drivers(study).join(alone=True):
        refused = train_py(*asked, "lora.r=2,4")
    assert "study.name: 's' given, allowed: another name" in refused.stderr
    assert "Traceback" not in refused.stderr + refused.stdout
    assert "As overrides" not in refused.stdout
    assert state_of(study) == before


def test_failing_trials_are_told_and_the_exit_code_says_so(
    train_py: TrainPy, tmp_path: Path
) -> None:
    """A module that is in the list of the model's kind, but not in this one, fails in the trial."""
    broken = ["model.linear_modules=[nonsense]", "lora.target_modules=[nonsense]", "lora.r=2,4"]
    done = train_py("-m", *QUICK, IN_PROCESS, *broken, "study.name=broken")
    assert done.returncode == 1
    assert "lora.target_modules: 'nonsense' given" in done.stderr
    assert "Traceback" not in done.stderr
    assert [row["reason"] for row in table(tmp_path / "multirun" / "broken")] == ["interrupted"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_leaves_its_results(
    how: signal.Signals, tmp_path: Path, cache_dir: Path
) -> None:
    sweep = [*QUICK, IN_PROCESS, "lora.r=2,4", "study.name=stopped"]
    slow = ["training.max_steps=100000,4", "training.eval_steps=2"]
    environment = {**os.environ, "UGRO_CACHE_DIR": str(cache_dir)}
    output, errors = tmp_path / "output", tmp_path / "errors"
    command = ROOT / "train.py"
    process = Forked(command, ["-m", *sweep, *slow], tmp_path, environment, output, errors)
    reports = tmp_path / "multirun" / "stopped" / "trials" / "0000" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (reports.exists() and reports.read_text().count("\n") > 2):
        assert time.monotonic() < deadline, errors.read_text()
        time.sleep(0.2)
    process.send_signal(how)
    assert process.wait(60) == 128 + how
    assert "Traceback" not in errors.read_text()
    rows = table(tmp_path / "multirun" / "stopped")
    assert [(row["state"], row["reason"]) for row in rows] == [("WAITING", "interrupted")]
    assert f"Continue with: python {ROOT / 'train.py'} -m {sweep[0]} " in output.read_text()
