"""Sweeps through the command line, on real Ray, as a user runs them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf

from ..conftest import QUICK, ROOT

TrainPy = Callable[..., subprocess.CompletedProcess[str]]
IN_PROCESS = "hydra/launcher=basic"


def table(study: Path) -> list[dict[str, str]]:
    with (study / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_choices_on_the_command_line_run_once_each_on_ray_and_the_best_runs_again(
    train_py: TrainPy, tmp_path: Path
) -> None:
    done = train_py("-m", *QUICK, "lora.r=8,16", "study.name=two")
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
    assert "The space holds 2 configurations: 2 trials, not 5" in done.stdout
    assert sorted(row["lora.r"] for row in table(tmp_path / "multirun" / "six")) == ["2", "4"]


def test_nothing_to_search_is_one_trial_and_it_says_so(train_py: TrainPy, tmp_path: Path) -> None:
    done = train_py("-m", *QUICK, IN_PROCESS)
    assert done.returncode == 0, done.stderr
    assert "Nothing to search: one trial" in done.stdout
    [study] = (tmp_path / "multirun").iterdir()  # named by the time, the same name everywhere
    assert len(table(study)) == 1
    config = OmegaConf.load(study / "trials" / "0000" / ".hydra" / "config.yaml")
    assert config.study.name == study.name
    assert {path.name for path in study.iterdir()} == {
        "experiment",
        "optimization_results.yaml",
        "events.jsonl",
        "study.db",
        "trials",
        "trials.csv",
    }


def test_early_stopping_on_ray_and_in_this_process_give_the_same_trials_and_values(
    train_py: TrainPy, tmp_path: Path
) -> None:
    """One slot, one seed: stopped trials with their intermediate values, to the last digit."""
    asked = ["search_space=lora_small", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=1"]
    halving = ["scheduler=asha", "scheduler.grace_period=0.25", "scheduler.reduction_factor=2"]
    long = ["training.max_steps=8", "constraints.expressions=['lora.r <= 16']"]
    found = {}
    for launcher in ("basic", "ray_local"):
        given = [*asked, *halving, *long, f"hydra/launcher={launcher}", f"study.name={launcher}"]
        done = train_py("-m", *QUICK, *given)
        assert done.returncode == 0, done.stderr
        assert "Gain over the configuration as it was, trial 0" in done.stdout
        storage = f"sqlite:///{tmp_path / 'multirun' / launcher / 'study.db'}"
        trials = optuna.load_study(study_name=launcher, storage=storage).trials
        found[launcher] = [
            (t.number, t.state.name, t.value, t.params, t.intermediate_values) for t in trials
        ]
    assert found["basic"] == found["ray_local"]
    trials = found["ray_local"]
    assert len(trials) == 6
    assert trials[0][3]["lora.r"] == 16  # conf/'s own
    assert all(parameters["lora.r"] <= 16 for _, _, _, parameters, _ in trials)
    pruned = [values for _, state, _, _, values in trials if state == "PRUNED"]
    assert pruned
    for values in pruned:  # reports at 256, 512 and 768 of 1,024 tokens
        assert set(values) in ({256}, {256, 512}, {256, 512, 768})
    study = tmp_path / "multirun" / "ray_local"
    reasons = [row["reason"] for row in table(study)]
    assert reasons.count("rung") == len(pruned)
    events = [json.loads(line) for line in (study / "events.jsonl").read_text().splitlines()]
    told = [event["number"] for event in events if event.get("stop") == "rung"]
    assert len(told) == len(pruned)
    assert [e["event"] for e in (events[0], events[-1])] == ["StudyStarted", "StudyFinished"]


def test_several_objectives_make_a_front(train_py: TrainPy, tmp_path: Path) -> None:
    pareto = ["objectives=loss_latency", "objectives.mode=pareto", "latency.repeats=2"]
    done = train_py("-m", *QUICK, IN_PROCESS, *pareto, "lora.r=2,4", "study.name=front")
    assert done.returncode == 0, done.stderr
    assert "Not dominated: trials" in done.stdout
    study = tmp_path / "multirun" / "front"
    rows = table(study)
    assert "value" not in rows[0]
    assert all(float(row["latency_ms"]) > 0 for row in rows)
    assert all(float(row["eval_loss"]) > 0 for row in rows)
    solutions = OmegaConf.load(study / "optimization_results.yaml").solutions
    assert 1 <= len(solutions) <= 2


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (["constraints.expressions=['lora.r > 8']"], "lora.r > 8 removes 100.0% of 1,000 samples"),
        (["constraints.expressions=['lora.rank > 8']"], "lora.rank > 8: 'lora.rank' given"),
        (["scheduler=asha", "scheduler.reduction_factor=1"], "scheduler.reduction_factor: 1.0"),
        (["study.enqueue=[{lora.r: 3}]"], "study.enqueue: lora.r: 3 given, allowed: 2, 4"),
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


def test_a_dry_run_prints_the_plan_and_launches_nothing(train_py: TrainPy, tmp_path: Path) -> None:
    asked = ["search_space=lora_small", "scheduler=asha", "constraints=guides"]
    done = train_py("-m", *QUICK, *asked, "study.dry_run=true")
    assert done.returncode == 0, done.stderr
    # 4 steps of 4 blocks of 32 tokens, ten trials; rungs at a sixteenth and a quarter of 512.
    for line in (
        "Trials: 10",
        "First, baseline: lora.r=16 training.learning_rate=0.0002 lora.target_modules=all-linear",
        "Constraints leave 100.0% of the samples",
        "Rungs: 32, 128 tokens",
        "Tokens at most: 5,120",
        # 32 + 96/4 + 384/16 of each
        "Tokens expected: about 800",
        "A dry run: nothing was launched",
    ):
        assert line in done.stdout
    assert not (tmp_path / "multirun").exists()


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
    assert "study.name: 'again' given, allowed: a new name" in other.stderr
    assert "Traceback" not in other.stderr


def test_a_searched_value_that_is_impossible_starts_nothing(
    train_py: TrainPy, tmp_path: Path
) -> None:
    done = train_py("-m", *QUICK, IN_PROCESS, "lora.r=8,0", "lora.dropout=0,1.5")
    assert done.returncode != 0
    assert "lora.r: 0 given, allowed: 1 or more" in done.stderr
    assert "lora.dropout: 1.5 given" in done.stderr
    assert not (tmp_path / "multirun").exists()


def test_failing_trials_are_told_and_the_exit_code_says_so(
    train_py: TrainPy, tmp_path: Path
) -> None:
    """A module that is in the list of the model's kind, but not in this one, fails in the trial."""
    broken = ["model.linear_modules=[nonsense]", "lora.target_modules=[nonsense]", "lora.r=2,4"]
    done = train_py("-m", *QUICK, IN_PROCESS, *broken, "study.name=broken")
    assert done.returncode == 1
    assert "lora.target_modules: 'nonsense' given" in done.stderr
    assert "Traceback" not in done.stderr
    assert [row["reason"] for row in table(tmp_path / "multirun" / "broken")] == ["failed"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_leaves_its_results(
    how: signal.Signals, tmp_path: Path, cache_dir: Path
) -> None:
    sweep = [*QUICK, IN_PROCESS, "lora.r=2,4", "study.name=stopped"]
    slow = ["training.max_steps=100000,4", "training.eval_steps=2"]
    command = [sys.executable, str(ROOT / "train.py"), "-m", *sweep, *slow]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "UGRO_CACHE_DIR": str(cache_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    reports = tmp_path / "multirun" / "stopped" / "trials" / "0000" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (reports.exists() and reports.read_text().count("\n") > 2):
        assert time.monotonic() < deadline, process.communicate(timeout=10)
        time.sleep(0.2)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + how
    assert "Traceback" not in errors
    rows = table(tmp_path / "multirun" / "stopped")
    assert [(row["state"], row["reason"]) for row in rows] == [("FAIL", "interrupted")]
