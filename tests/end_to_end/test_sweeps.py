"""Sweeps through the command line, on real Ray, as a user runs them."""

import json
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf

from ..conftest import QUICK, ROOT
from .studies import IN_PROCESS, TrainPy, table


def test_choices_on_the_command_line_run_once_each_on_ray_and_the_best_runs_again(
    train_py: TrainPy, tmp_path: Path
) -> None:
    done = train_py("-m", *QUICK, "lora.r=8,16", "study.name=two", fresh=True)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "multirun" / "two"
    rows = table(study)
    assert sorted(row["lora.r"] for row in rows) == ["16", "8"]
    assert [row["state"] for row in rows] == ["COMPLETE", "COMPLETE"]
    assert [row["number"] for row in rows] == ["0", "1"]
    for row in rows:
        assert row["value"] == row["eval_loss"]
        folder = study / "trials" / f"{int(row['number']):04d}"
        for kept in (".hydra/config.yaml", "train.log", "metrics.jsonl", "checkpoints", "adapter"):
            assert (folder / kept).exists()
    record = optuna.load_study(study_name="two", storage=f"sqlite:///{study / 'study.db'}")
    assert {trial.params["lora.r"] for trial in record.trials} == {8, 16}
    best = min(rows, key=lambda row: float(row["value"]))
    results = OmegaConf.load(study / "optimization_results.yaml")
    assert results.best_value == float(best["value"])
    assert f"As overrides: lora.r={best['lora.r']}" in done.stdout

    again = train_py("--config-dir", str(study), "experiment=best", "hydra.run.dir=again")
    assert again.returncode == 0, again.stderr
    last = (tmp_path / "again" / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["eval_loss"] == float(best["value"])


def test_a_named_space_is_searched_with_the_number_of_trials_that_was_asked_for(
    train_py: TrainPy, tmp_path: Path
) -> None:
    done = train_py(
        "-m", *QUICK, IN_PROCESS, "search_space=lora", "hydra.sweeper.n_trials=4", "study.name=lora"
    )
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "multirun" / "lora")
    assert len(rows) == 4
    space = OmegaConf.load(ROOT / "conf" / "search_space" / "lora.yaml").params
    searched = set(space) - {"training.batch_size"}  # fixed on this command line
    assert searched <= set(rows[0])
    assert all(1e-5 <= float(row["training.learning_rate"]) <= 2e-3 for row in rows)


def test_a_finite_space_ends_the_study_early_and_says_why(
    train_py: TrainPy, tmp_path: Path
) -> None:
    asked = ["lora.r=2,4", "hydra.sweeper.n_trials=5", "study.name=six"]
    done = train_py("-m", *QUICK, IN_PROCESS, *asked)
    assert done.returncode == 0, done.stderr
    assert "The space has 2 configurations: 2 trials, not 5" in done.stdout
    assert sorted(row["lora.r"] for row in table(tmp_path / "multirun" / "six")) == ["2", "4"]


def test_nothing_to_search_is_one_trial_and_it_says_so(train_py: TrainPy, tmp_path: Path) -> None:
    done = train_py("-m", *QUICK, IN_PROCESS)
    assert done.returncode == 0, done.stderr
    assert "Nothing to search: a single trial" in done.stdout
    [study] = (tmp_path / "multirun").iterdir()  # named by the time, the same name everywhere
    assert len(table(study)) == 1
    config = OmegaConf.load(study / "trials" / "0000" / ".hydra" / "config.yaml")
    assert config.study.name == study.name
    assert {path.name for path in study.iterdir()} == {
        ".drivers",
        "analysis",
        "experiment",
        "optimization_results.yaml",
        "sweep.log",
        "events.jsonl",
        "study.db",
        "study.json",
        "trials",
        "trials.csv",
    }


@pytest.mark.long
def test_the_same_command_again_finishes_the_study_instead_of_repeating_it(
    train_py: TrainPy, tmp_path: Path
) -> None:
    asked = ["-m", *QUICK, IN_PROCESS, "search_space=lora_small", "study.name=again"]
    for total in (1, 2):
        done = train_py(*asked, f"hydra.sweeper.n_trials={total}")
        assert done.returncode == 0, done.stderr
        rows = table(tmp_path / "multirun" / "again")
        assert [row["number"] for row in rows] == [str(number) for number in range(total)]
    assert len({row["training.learning_rate"] for row in rows}) == 2
    other = train_py("-m", *QUICK, IN_PROCESS, "lora.r=1,2", "study.name=again")
    assert other.returncode != 0
    assert "lora.r: '1, 2' given, allowed: 4, 8, 16, 32; other choices" in other.stderr
    assert "Traceback" not in other.stderr
