"""Run UGRO's and the upstream sweeper on the same task without training."""

import json
import os
import subprocess
import sys
from pathlib import Path

TASK = Path(__file__).with_name("no_training.py")
UPSTREAM = ("hydra/sweeper=optuna", "hydra/sweeper/sampler=tpe", "hydra/launcher=ray")
UGRO = ("study.baseline=false",)
NOTHING_AFTER = ("study.analysis=false", "tracking=none")
RAY = "++hydra.launcher.ray.init."


def run(sweeper: tuple[str, ...], overrides: list[str], folder: Path, **environment: str) -> None:
    """Run a sweep of the task without training in ``folder``."""
    folder.mkdir(parents=True)
    slots = [f"{RAY}include_dashboard=false", f"{RAY}log_to_driver=false"]
    subprocess.run(
        [sys.executable, str(TASK), "-m", *sweeper, *NOTHING_AFTER, *overrides, *slots],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def spans(folder: Path) -> list[tuple[float, float]]:
    """Return start and end of each trial, sorted by start."""
    found = [json.loads(path.read_text()) for path in folder.glob("**/slept.json")]
    return sorted((trial["began"], trial["ended"]) for trial in found)
