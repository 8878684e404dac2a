"""Studies of other programs: made, imported, analysed, compared and continued from."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from ugro.cli.main import main as ugro
from ugro.study.study import silence_optuna

from ..conftest import QUICK
from .studies import IN_PROCESS, TrainPy, table

# A program of its own, which hydra-optuna-sweeper sweeps.
PROGRAM = """
import hydra, math

@hydra.main(version_base=None, config_path=".", config_name="config")
def main(config):
    rate = abs(math.log10(config.optimizer.lr) + 3)
    return rate + abs(config.rank - 16) / 16 + (config.kind == "a")

main()
"""
CONFIG = """
defaults: [{override hydra/sweeper: optuna}, {override hydra/sweeper/sampler: random}]
optimizer: {lr: 0.1}
rank: 8
kind: a
hydra:
  sweeper:
    sampler: {seed: 1}
    direction: minimize
    study_name: theirs
    storage: sqlite:///theirs.db
    n_trials: 12
    n_jobs: 1
    params:
      optimizer.lr: tag(log, interval(0.0001, 0.005))
      rank: choice(4, 8, 16, 32)
      kind: choice(a, b)
"""
SPACE = ("search_space=lora_small", "hydra.sweeper.n_trials=3", "study.baseline=false")


def by_upstream(folder: Path) -> dict[str, str]:
    """Run a sweep of hydra-optuna-sweeper; return the keys of its parameters."""
    (folder / "program.py").write_text(PROGRAM)
    (folder / "config.yaml").write_text(CONFIG)
    command = [sys.executable, "program.py", "-m"]
    subprocess.run(command, cwd=folder, env=os.environ, check=True, capture_output=True)
    return {"optimizer.lr": "training.learning_rate", "rank": "lora.r"}


def by_optimize(folder: Path) -> dict[str, str]:
    """Run ``study.optimize``, with reports and a pruner; return the keys of its parameters."""

    def objective(trial: optuna.Trial) -> float:
        rate = abs(math.log10(trial.suggest_float("lr", 1e-4, 5e-3, log=True)) + 3)
        value = rate + abs(trial.suggest_categorical("r", [4, 8, 16, 32]) - 16) / 16
        for step in range(1, 5):
            trial.report(value + 1 / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value + (trial.suggest_categorical("kind", ["a", "b"]) == "a")

    silence_optuna()
    study = optuna.create_study(
        study_name="theirs",
        storage=f"sqlite:///{folder}/theirs.db",
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    study.optimize(objective, n_trials=12)
    return {"lr": "training.learning_rate", "r": "lora.r"}


@pytest.mark.long
@pytest.mark.parametrize("made", [by_upstream, by_optimize])
def test_a_study_of_another_program_is_analysed_compared_and_warm_started_from(
    made: object,
    tmp_path: Path,
    train_py: TrainPy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert callable(made)
    keys = made(tmp_path)
    theirs = optuna.load_study(study_name="theirs", storage="sqlite:///theirs.db")
    mapping = ", ".join(f"{name}: {key}" for name, key in keys.items())
    source = "storage=sqlite:///theirs.db"
    ugro(["import", source, "as=mine", "objective=eval_loss", f"keys={{{mapping}}}"])
    assert "Imported 12 trials, study theirs of sqlite:///theirs.db" in capsys.readouterr().out
    ugro(["audit", "study.name=mine"])
    assert "Log and study agree: 12 trials" in capsys.readouterr().out

    ugro(["analyze", "study.name=mine"])
    study = tmp_path / "multirun" / "mine"
    rows = table(study)
    assert [(row["state"], row["value"] and float(row["value"])) for row in rows] == [
        (trial.state.name, "" if trial.value is None else trial.value) for trial in theirs.trials
    ]
    for name, key in keys.items():
        assert [float(row[key]) for row in rows] == [trial.params[name] for trial in theirs.trials]
    summary = json.loads((study / "analysis" / "summary.json").read_text())
    assert summary["best"]["number"] == theirs.best_trial.number
    assert "theirs of sqlite:///theirs.db" in (study / "analysis" / "report.html").read_text()

    run = train_py("-m", *QUICK, IN_PROCESS, *SPACE, "study.name=new", "study.warm_start=[mine]")
    assert run.returncode == 0, run.stderr
    complete = sorted(
        (trial for trial in theirs.trials if trial.state is optuna.trial.TrialState.COMPLETE),
        key=lambda trial: trial.value or 0.0,
    )
    first = table(tmp_path / "multirun" / "new")[:3]
    assert [row["source"] for row in first] == ["warm_start"] * 3
    for row, trial in zip(first, complete, strict=False):
        for name, key in keys.items():
            assert float(row[key]) == trial.params[name]
    ugro(["compare", "study=[mine,new]"])
    assert (tmp_path / "multirun" / "comparison-mine-new" / "comparison.html").exists()

    refused = train_py("-m", *QUICK, IN_PROCESS, *SPACE, "study.name=mine")
    assert refused.returncode != 0
    line = "study.name: 'mine' given, allowed: another name, and study.warm_start=[mine]"
    assert line in refused.stderr
    assert table(study) == rows  # nothing was added
