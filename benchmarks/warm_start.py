"""Measure the time from a trial's submission to its first step, in a cold and a warm worker.

Runs a sweep of four trials in a single Ray slot. The study has the time of submission, the first
line of metrics.jsonl the start of training.

    python benchmarks/warm_start.py model=tiny
    python benchmarks/warm_start.py model=smollm2_135m
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna

ROOT = Path(__file__).parents[1]
SWEEP = (
    "lora.r=2,4,8,16",
    "hydra.sweeper.n_jobs=1",
    "data.block_size=64",
    "data.max_eval_examples=4",
    "training.batch_size=2",
    "training.max_steps=2",
    "training.eval_steps=2",
    "study.name=warm",
    "study.analysis=false",
    "tracking=none",
)


def start_seconds(folder: Path) -> list[float]:
    """Return the seconds from submission to training by trial number."""
    study = folder / "multirun" / "warm"
    record = optuna.load_study(study_name="warm", storage=f"sqlite:///{study / 'study.db'}")
    seconds = []
    for trial in record.trials:
        assert trial.datetime_start is not None
        reports = (study / "trials" / f"{trial.number:04d}" / "metrics.jsonl").read_text()
        began = json.loads(reports.splitlines()[0])["time"]
        seconds.append(began - trial.datetime_start.timestamp())
    return seconds


def main() -> None:
    """Run the sweep with the given overrides and print a line per trial."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "train.py"), "-m", *SWEEP, *sys.argv[1:]]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds = start_seconds(Path(folder))
    for number, value in enumerate(seconds):
        print(f"trial {number} ({'warm' if number else 'cold'} worker): {value:.2f} s")


if __name__ == "__main__":
    main()
