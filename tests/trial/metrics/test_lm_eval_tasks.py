"""Tasks as metrics: lm-evaluation-harness's own values, at every evaluation."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ugro.config import Config
from ugro.errors import MetricError, UserError
from ugro.events.channel import channel
from ugro.events.trial_report import TrialResult
from ugro.trial.export.weights import export_merged
from ugro.trial.held_out import measure_test
from ugro.trial.metrics import lm_eval_tasks
from ugro.trial.metrics.lm_eval_tasks import LmEvalTasks
from ugro.trial.setup import set_up

from ...conftest import QUICK
from ...task_files import write_tasks
from ..conftest import reports
from ..small_models import saved_model

lm_eval = pytest.importorskip("lm_eval")

TASKS = "metrics=lm_eval", "metrics.lm_eval.tasks=[choice.yaml,answer.yaml]"
LIKELY = "metrics.likely={tasks: [likely.yaml], direction: minimize}"
LARGE = "training.learning_rate=3e-2"  # so that the adapter matters
NAMES = ("lm_eval_choice_acc", "lm_eval_answer_letters", "likely_likely_perplexity")
Run = Callable[..., tuple[TrialResult, Path]]


@pytest.fixture(autouse=True)
def _tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tasks(tmp_path)
    monkeypatch.chdir(tmp_path)


def of_lm_eval(model: Path, **options: Any) -> dict[str, Any]:
    """Results of ``simple_evaluate`` on a model that transformers loads."""
    tasks = ["choice.yaml", "answer.yaml", "likely.yaml"]
    found = lm_eval.simple_evaluate(
        "hf",
        {"pretrained": str(model), "dtype": "float32"},
        tasks,
        task_manager=lm_eval.tasks.TaskManager(include_defaults=False),
        batch_size=8,
        device="cpu",
        bootstrap_iters=lm_eval_tasks.BOOTSTRAP_DRAWS,
        **options,
    )
    results: dict[str, Any] = found["results"]
    return results


@pytest.mark.parametrize(
    "options",
    [{}, {"num_fewshot": 2}, {"limit": 7}, {"apply_chat_template": True}],
    ids=lambda options: next(iter(options), "defaults"),
)
def test_the_values_are_those_of_lm_eval_on_the_exported_model(
    options: dict[str, Any],
    run: Run,
    settings: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = [
        f"metrics.{metric}.{ {'limit': 'examples'}.get(key, key) }={json.dumps(value)}"
        for key, value in options.items()
        for metric in ("lm_eval", "likely")
    ]
    given = [*TASKS, LIKELY, *given, LARGE, "training.eval_batch_size=8"]
    result, folder = run(*given)
    (tmp_path / "merged").mkdir()
    export_merged(settings(*QUICK, *given), folder, tmp_path / "merged", "fp32")
    monkeypatch.setenv("DISABLE_MULTIPROC", "1")
    expected = of_lm_eval(tmp_path / "merged", **options)
    for name in NAMES:
        metric, task, of_task = name.rsplit("_", 2)
        assert metric in ("lm_eval", "likely")
        wanted, found = expected[task], result.metrics
        assert found[name] == pytest.approx(wanted[f"{of_task},none"], rel=1e-4), name
        stderr = wanted[f"{of_task}_stderr,none"]
        assert found[f"{name}_stderr"] == pytest.approx(stderr, rel=1e-3), name
        assert found[f"{name}_stderr"] > 0
        assert found[name] != found[f"base_{name}"]


@pytest.mark.long
def test_the_values_are_those_of_the_command_of_lm_eval(
    run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    result, folder = run(*TASKS, LARGE, "training.eval_batch_size=8")
    (tmp_path / "merged").mkdir()
    export_merged(settings(*QUICK, *TASKS), folder, tmp_path / "merged", "fp32")
    command = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--device", "cpu"]
    command += ["--model_args", f"pretrained={tmp_path}/merged,dtype=float32", "--batch_size", "8"]
    command += ["--tasks", "choice.yaml,answer.yaml", "--output_path", "results"]
    subprocess.run(command, check=True, capture_output=True)
    [written] = (tmp_path / "results").rglob("*.json")
    expected = json.loads(written.read_text())["results"]
    assert result.metrics[NAMES[0]] == expected["choice"]["acc,none"]
    assert result.metrics[NAMES[1]] == pytest.approx(expected["answer"]["letters,none"])


@pytest.mark.parametrize(
    ("kind", "overrides"),
    [
        ("llama", ["lora.dropout=0.3"]),
        ("llama_tied", ["lora.modules_to_save=[embed_tokens]"]),
        ("llama_tied", ["lora.target_modules=[lm_head]"]),
    ],
    ids=["dropout", "tied embedding saved", "tied output"],
)
def test_the_training_is_the_same_with_and_without_tasks(
    kind: str, overrides: list[str], run: Run, tmp_path: Path
) -> None:
    given = [f"model.path={saved_model(kind, tmp_path / kind)}", "model=local", *overrides, LARGE]
    without, before = run(*given)
    with_tasks, after = run(*given, *TASKS, "objectives=loss")
    losses = [line["eval_loss"] for line in reports(before)]
    assert len(losses) == 3
    assert [line["eval_loss"] for line in reports(after)] == losses
    assert with_tasks.metrics["train_loss"] == without.metrics["train_loss"]
    assert 0 < with_tasks.metrics["metrics_seconds"] < with_tasks.metrics["train_seconds"]


def test_half_precision_is_that_of_the_training(run: Run) -> None:
    name = "base_likely_likely_perplexity"
    full, half = (run(LIKELY, f"training.dtype={dtype}")[0].metrics for dtype in ("fp32", "bf16"))
    assert half[name] == pytest.approx(full[name], rel=0.02)
    assert half[name] != full[name]


def test_shots_are_the_same_at_every_evaluation(run: Run) -> None:
    """An adapter that learns nothing has the base model's values."""
    shots = "metrics.likely={tasks: [likely.yaml], direction: minimize, num_fewshot: 3}"
    result, folder = run(shots, "training.learning_rate=1e-30")
    values = [line["metrics"]["likely_likely_perplexity"] for line in reports(folder)]
    assert len(values) == 3
    assert len(set(values)) == 1
    assert result.metrics["base_likely_likely_perplexity"] == values[0]


def test_a_task_is_computed_when_it_is_due(run: Run) -> None:
    given = (*TASKS, "training.eval_steps=1")
    _, folder = run(*given, "metrics.lm_eval.every=3")
    assert [line["step"] for line in reports(folder) if "metrics" in line] == [0, 3, 4]
    result, folder = run(*given, "metrics.lm_eval.every=null")
    assert [line["step"] for line in reports(folder) if "metrics" in line] == [0, 4]
    assert result.metrics["best_step"] == 4  # the objectives are known there only
    assert len(result.values) == 1


def test_the_chosen_values_are_returned_and_no_others(run: Run) -> None:
    result, _ = run(*TASKS, "metrics.lm_eval.returns=[choice_acc_norm]", "objectives=loss")
    of_tasks = {name for name in result.metrics if name.startswith("lm_eval")}
    assert of_tasks == {"lm_eval_choice_acc_norm", "lm_eval_choice_acc_norm_stderr"}


def test_functions_and_tasks_are_computed_side_by_side(run: Run, settings: Any) -> None:
    result, folder = run(*TASKS, "metrics=[lm_eval,token_accuracy]", "data.test_fraction=0.2")
    assert result.metrics.keys() >= {"token_accuracy", *NAMES[:2]}
    config = settings(*QUICK, *TASKS, "metrics=[lm_eval,token_accuracy]", "data.test_fraction=0.2")
    measured = measure_test(config, folder, channel()).metrics
    assert "test_token_accuracy_gain" in measured
    assert not [name for name in measured if "lm_eval" in name]  # tasks have no test part


def test_nothing_is_printed_or_logged(
    run: Run, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run()
    before = capfd.readouterr()
    lm_eval_tasks._load.cache_clear()
    with caplog.at_level(logging.INFO):
        run(*TASKS, LIKELY)
    assert capfd.readouterr() == before
    assert not [record for record in caplog.records if record.name.startswith("lm_eval")]


def test_the_mode_of_the_model_is_restored(settings: Callable[..., Config]) -> None:
    base, _ = set_up(config := settings(*QUICK, *TASKS))
    tasks = LmEvalTasks(config.metrics, base.tokenizer, batch_size=4)
    base.model.train()
    try:
        assert tasks.compute(base.model, number=1, last=False).keys() >= {*NAMES[:2]}
        assert base.model.training
        base.model.eval()
        tasks.compute(base.model, number=1, last=False)
        assert not base.model.training
    finally:
        base.model.eval()


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("choice.yaml", "multiple_choice", "essay", "ValueError: Got invalid output_type 'essay'"),
        ("choice.yaml", "metric: acc}", "metric: best}", "KeyError: None; best not found in the "),
        ("choice.yaml", "{{options}}", "{{options", "TemplateSyntaxError: "),
        ("data.yaml", "sums.jsonl", "none.jsonl", "FileNotFoundError: Unable to find "),
        ("answer.yaml", "answers.measured", "answers.other", "AttributeError: Module '.*' has no"),
    ],
)
def test_a_task_that_cannot_be_loaded_is_named(
    file: str, old: str, new: str, reason: str, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / file
    path.write_text(path.read_text().replace(old, new, 1))
    named = f"metrics.lm_eval.tasks: '{'answer' if file == 'answer.yaml' else 'choice'}.yaml' given"
    with pytest.raises(UserError, match=rf"\A{named}, allowed: a task of lm-.* \({reason}.*\)\Z"):
        run(*TASKS)


@pytest.mark.parametrize(
    ("returned", "error", "line"),
    [
        ("raise ValueError('no\\nvalue')", MetricError, "metrics.lm_eval: ValueError: no"),
        (
            "return {'letters': float('nan')}",
            MetricError,
            "metrics.lm_eval: answer_letters is nan, no finite number",
        ),
        (
            "return {'words': 1.0}",
            UserError,
            "metrics.lm_eval.returns: 'answer_letters' given, allowed: choice_acc, "
            "choice_acc_norm, answer_words",
        ),
    ],
)
def test_a_task_that_fails_ends_the_trial_with_one_line(
    returned: str, error: type[Exception], line: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "answers.py").write_text(f"def measured(doc, results):\n    {returned}\n")
    with pytest.raises(error) as raised:
        run(*TASKS)
    assert str(raised.value) == line


def test_a_value_is_not_optimised_against_its_task(run: Run) -> None:
    with pytest.raises(UserError) as raised:
        run(LIKELY.replace("minimize", "maximize"))
    assert str(raised.value) == (
        "metrics.likely.direction: 'maximize' given, allowed: that of likely_perplexity; a metric "
        "of its own for values of the other direction"
    )


def test_answers_longer_than_the_model_are_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "answer.yaml"
    path.write_text(path.read_text().replace("max_gen_toks: 8", "max_gen_toks: 64"))
    base = f"model.path={saved_model('llama', tmp_path / 'base')}"  # of 64 positions
    with pytest.raises(MetricError, match=r"\Ametrics.lm_eval: AssertionError: .*\(64\) must be"):
        run("model=local", base, *TASKS)


@pytest.mark.long
def test_a_task_by_name_is_one_of_lm_eval(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    for task, reason in (
        ("arc_easi", "; lm_eval ls tasks prints the names$"),
        ("arc_easy", r" \(.*ai2_arc.*\)$"),
    ):
        given = f"metrics.lm_eval.tasks=[{task}]", f"metrics.lm_eval.returns=[{task}_acc]"
        with pytest.raises(UserError, match=f"^metrics.lm_eval.tasks: '{task}' given.*{reason}"):
            run("metrics=lm_eval", *given)
