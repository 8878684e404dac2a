"""Searches by metrics of generations, through the command line."""

import json
import random
import re
import statistics
from pathlib import Path

import pytest

from ..conftest import QUICK
from ..task_files import write_tasks
from .studies import IN_PROCESS, TrainPy, table

MODULE = """
def variety(examples):
    return [len(set(e.generation)) for e in examples]

def hangs_on_some(examples):
    import time
    time.sleep(600 if len(set(examples[0].generation)) > 2 else 0)
    return 1.0
"""
VARIETY = "metrics.variety={function: my_metrics.variety, max_new_tokens: 8, examples: 8}"
RATES = "training.learning_rate=1e-4,1e-1,3e-4,3e-2,1e-3,1e-2"


@pytest.fixture
def records(tmp_path: Path) -> list[str]:
    """Overrides of a small data set, with a module of metrics in the working folder."""
    rows = [{"prompt": f"{n}:", "completion": "abc" * (1 + n % 4)} for n in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "my_metrics.py").write_text(MODULE)
    data = ["data=jsonl", "data.train_files=[rows.jsonl]", "data.test_fraction=0.2"]
    return [*QUICK, *data, "training.max_steps=8", IN_PROCESS]


def test_early_stopping_maximises_a_metric_of_ones_own(
    train_py: TrainPy, records: list[str], tmp_path: Path
) -> None:
    halving = ["scheduler=asha", "scheduler.grace_period=0.5", "scheduler.reduction_factor=2"]
    constraint = "constraints.expressions=['variety >= 0', 'lora.r >= 1']"
    given = [*records, VARIETY, RATES, *halving, constraint, "study.name=variety"]
    done = train_py("-m", *given, "study.analysis=true")
    assert done.returncode == 0, done.stderr
    study = tmp_path / "multirun" / "variety"
    events = [json.loads(line) for line in (study / "events.jsonl").read_text().splitlines()]
    at_the_rung: list[float] = []
    stopped = []
    for event in events:
        if event["event"] == "TrialReported" and event["step"] == 4:
            value = event["metrics"]["variety"]
            # ASHA with factor 2: worse than the median of the trials that were here before.
            behind = bool(at_the_rung) and value < statistics.median(at_the_rung)
            assert (event["stop"] == "rung") == behind
            at_the_rung.append(value)
            stopped.append(behind)
    assert len(stopped) == 6
    assert 0 < sum(stopped) < 6
    complete = [row for row in table(study) if row["reason"] == "complete"]
    best = max(complete, key=lambda row: float(row["variety"]))
    assert f"Best: trial {best['number']}, value {float(best['variety']):.4f}" in done.stdout
    assert re.search(
        r"On the test part \(\d+ documents, used for no choice\): variety", done.stdout
    )
    assert 'id="answers"' in (study / "analysis" / "report.html").read_text()
    summary = json.loads((study / "analysis" / "summary.json").read_text())
    assert summary["objectives"] == ["variety"]
    assert summary["test"]["metrics"][0]["name"] == "variety"


def test_a_metric_that_hangs_fails_its_trial_and_the_sweep_goes_on(
    train_py: TrainPy, records: list[str], tmp_path: Path
) -> None:
    hangs = "metrics.some={function: my_metrics.hangs_on_some, timeout_seconds: 3, examples: 1}"
    rates = "training.learning_rate=1e-4,1"  # after steps of size 1 the model repeats a token
    loss = "objectives=loss"
    done = train_py("-m", *records, hangs, loss, rates, "study.name=hangs")
    reasons = {row["reason"]: row["error"] for row in table(tmp_path / "multirun" / "hangs")}
    assert "MetricError: metrics.some: my_metrics.hangs_on_some: no result within 3 s" in " ".join(
        reasons.values()
    )
    assert done.returncode != 0 or "complete" in reasons


def test_another_function_is_another_study(
    train_py: TrainPy, records: list[str], tmp_path: Path
) -> None:
    given = ["-m", *records, VARIETY, "lora.r=2", "study.name=same"]
    assert train_py(*given).returncode == 0
    (tmp_path / "my_metrics.py").write_text(MODULE.replace("len(set", "-len(set"))
    refused = train_py(*given[:-2], "lora.r=2,4", "study.name=same")
    assert refused.returncode != 0
    assert "metrics.variety.source" in refused.stderr


def test_a_search_by_a_task_of_lm_eval_stops_early_and_depends_on_its_files(
    train_py: TrainPy, records: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("lm_eval")
    write_tasks(tmp_path)
    halving = ["scheduler=asha", "scheduler.grace_period=0.5", "scheduler.reduction_factor=2"]
    task = ["metrics=lm_eval", "metrics.lm_eval.tasks=[answer.yaml]", "study.name=task"]
    given = ["-m", *records, *task, *halving, RATES]
    done = train_py(*given, "study.analysis=true")
    assert done.returncode == 0, done.stderr
    study = tmp_path / "multirun" / "task"
    rows = table(study)
    assert {row["reason"] for row in rows} == {"complete", "rung"}
    complete = [row for row in rows if row["reason"] == "complete"]
    best = max(complete, key=lambda row: float(row["lm_eval_answer_letters"]))
    assert f"Best: trial {best['number']}, value " in done.stdout
    assert float(best["base_lm_eval_answer_letters"]) != float(best["lm_eval_answer_letters"])
    data = tmp_path / "sums.jsonl"
    data.write_text("".join(data.read_text().splitlines(keepends=True)[1:]))
    refused = train_py(*given)
    assert refused.returncode != 0
    assert "metrics.lm_eval.source" in refused.stderr


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_search_by_exact_match_teaches_the_real_model_to_reverse_words(
    train_py: TrainPy, tmp_path: Path
) -> None:
    words = "apple bread chair dance eagle flame grape house island juice".split()  # noqa: SIM905
    words += "knife lemon music night ocean piano queen river stone table".split()  # noqa: SIM905
    draw, chosen = random.Random(0), dict[tuple[str, ...], None]()
    while len(chosen) < 1100:
        chosen[tuple(draw.sample(words, 3))] = None
    rows = [
        {"prompt": f"Reverse: {' '.join(one)}\nReversed:", "completion": f" {' '.join(one[::-1])}"}
        for one in chosen
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows[:900]))
    (tmp_path / "test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows[900:]))
    done = train_py(
        "-m",
        "data=jsonl",
        "data.train_files=[rows.jsonl]",
        "data.test_files=[test.jsonl]",
        "data.max_eval_examples=40",
        "metrics=exact_match",
        "metrics.exact_match.max_new_tokens=12",
        "training.max_steps=40",
        "training.batch_size=8",
        "training.eval_steps=20",
        "data.packing=none",
        "training.learning_rate=1e-3,3e-3",
        "scheduler=asha",
        "study.name=reverse",
        "tracking=none",
        IN_PROCESS,
        seconds=1500,  # two minutes a trial where nothing else runs
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "multirun/reverse/analysis/summary.json").read_text())
    [score] = summary["test"]["metrics"]
    assert summary["test"]["documents"] == 200
    assert score["best"] >= score["base_model"] + 0.3
    assert score["gain_low"] > 0
