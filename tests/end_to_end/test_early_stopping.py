"""Early stopping, several objectives and the plan, through the command line."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf

from ugro.cli.audit import main as audit

from ..conftest import QUICK
from .studies import IN_PROCESS, TrainPy, table


@pytest.mark.long
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
        storage = f"sqlite:///{tmp_path / 'multirun' / launcher / 'study.db'}"
        study = optuna.load_study(study_name=launcher, storage=storage)
        trials, baseline = study.trials, study.trials[0]
        gain = baseline.value - study.best_value
        assert study.best_trial.number != 0
        assert f"as it was, trial 0: {gain:.4f} ({gain / baseline.value:.1%})" in done.stdout
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
    assert {"study.name=ray_local", "hydra/launcher=ray_local"} < set(events[0]["overrides"])


@pytest.mark.long
def test_paused_trials_on_ray_and_in_this_process_have_the_same_values(
    train_py: TrainPy, tmp_path: Path
) -> None:
    """One slot: promoted trials come to the same end as trials that were never paused."""
    asked = ["search_space=lora_small", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=1"]
    halving = ["scheduler.grace_period=0.25", "scheduler.reduction_factor=2"]
    given = [*QUICK, *asked, *halving, "training.max_steps=8"]
    found = {}
    for launcher in ("basic", "ray_local"):
        own = ["scheduler=promotion_asha", f"hydra/launcher={launcher}", f"study.name={launcher}"]
        done = train_py("-m", *given, *own)
        assert done.returncode == 0, done.stderr
        found[launcher] = trials_in(tmp_path, launcher)
    assert found["basic"] == found["ray_local"]
    study = tmp_path / "multirun" / "ray_local"
    reasons = [row["reason"] for row in table(study)]
    assert set(reasons) == {"paused", "complete"}
    events = [json.loads(line) for line in (study / "events.jsonl").read_text().splitlines()]
    assert any(event["event"] == "TrialResumed" for event in events)
    # Another scheduler takes up the paused trials, and all come to their end.
    done = train_py("-m", *QUICK, *asked, "training.max_steps=8", "scheduler=none", *own[1:])
    assert done.returncode == 0, done.stderr
    resumed = trials_in(tmp_path, "ray_local")
    assert [state for _, state, *_ in resumed] == ["COMPLETE"] * 6
    whole = next(row for row in resumed if reasons[row[0]] == "paused")
    again = train_py(*QUICK, "training.max_steps=8", *overrides_of(whole[3]), "hydra.run.dir=whole")
    assert again.returncode == 0, again.stderr
    lines = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    losses = {line["tokens_seen"]: line["eval_loss"] for line in map(json.loads, lines)}
    assert {tokens: losses[tokens] for tokens in whole[4]} == whole[4]


def test_a_model_of_the_curves_pauses_resumes_and_proposes_trials(
    train_py: TrainPy, tmp_path: Path
) -> None:
    """Also in a study that goes on: the earlier driver's decisions stand."""
    asked = ["search_space=lora_small", "scheduler=auto", "scheduler.grace_period=0.1"]
    long = ["training.max_steps=16", "training.eval_steps=2", "hydra.sweeper.n_jobs=2"]
    given = [*QUICK, *asked, *long, IN_PROCESS, "study.name=s"]
    done = train_py("-m", *given, "hydra.sweeper.n_trials=24", "study.max_tokens=8000")
    assert done.returncode == 0, done.stderr
    study = tmp_path / "multirun" / "s"
    before = table(study)
    assert {row["reason"] for row in before} > {"paused", "complete"}
    assert before[0]["reason"] == before[1]["reason"] == "complete"
    done = train_py("-m", *given, "hydra.sweeper.n_trials=24", "study.max_tokens=16000")
    assert done.returncode == 0, done.stderr
    assert len(table(study)) > len(before)
    events = [json.loads(line) for line in (study / "events.jsonl").read_text().splitlines()]
    sources = [event["source"] for event in events if event["event"] == "TrialAsked"]
    assert sources[:2] == ["baseline", "sampler"]
    assert "scheduler" in sources[6:]
    assert any(event["event"] == "TrialResumed" for event in events)
    audit(["study.name=s", f"study.dir={study}"])


def trials_in(folder: Path, name: str) -> list[tuple[Any, ...]]:
    storage = f"sqlite:///{folder / 'multirun' / name / 'study.db'}"
    trials = optuna.load_study(study_name=name, storage=storage).trials
    return [(t.number, t.state.name, t.value, t.params, t.intermediate_values) for t in trials]


def overrides_of(parameters: dict[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in parameters.items()]


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
