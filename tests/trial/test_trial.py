import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from ugro.config import Config
from ugro.events.channel import Answer, channel
from ugro.events.trial_report import Report
from ugro.trial.data.preparation import prepare
from ugro.trial.model import base_models
from ugro.trial.tasks.language_modeling import evaluate
from ugro.trial.trial import run_trial

from ..conftest import QUICK
from .conftest import Run, reports


def test_a_trial_tells_what_it_measured(run: Run) -> None:
    result, _ = run()
    assert set(result.metrics) >= {
        "eval_loss",
        "eval_perplexity",
        "eval_bits_per_byte",
        "base_eval_bits_per_byte",
        "train_loss",
        "tokens_seen",
        "trained_token_share",
        "padding_share",
        "train_tokens_per_second",
        "trainable_parameters",
        "peak_memory_mb",
        "train_seconds",
    }
    assert (float(result),) == result.values
    assert float(result) == result.metrics["eval_loss"]
    assert result.metrics["eval_perplexity"] == math.exp(result.metrics["eval_loss"])
    assert result.metrics["eval_loss"] < result.metrics["base_eval_loss"]
    assert all(math.isfinite(value) for value in result.metrics.values())


def test_tokens_seen_is_steps_times_batch_times_accumulation_times_row(run: Run) -> None:
    result, folder = run("training.gradient_accumulation_steps=3")
    assert result.metrics["tokens_seen"] == 4 * 4 * 3 * 32
    assert [r["tokens_seen"] for r in reports(folder)] == [0, 2 * 4 * 3 * 32, 4 * 4 * 3 * 32]


def test_passes_follow_one_another_without_a_batch_that_is_not_full(run: Run) -> None:
    # 2 passes over 10 rows are 5 batches of 4; each pass by itself would end in one of 2.
    result, _ = run("training.max_steps=null", "training.epochs=2", "data.max_train_examples=10")
    assert result.metrics["steps"] == 5
    assert result.metrics["tokens_seen"] == 2 * 10 * 32


def test_a_token_budget_is_met_whatever_the_batch_size(run: Run) -> None:
    budget = ["training.max_steps=null", "training.max_tokens=1024"]
    for batch_size in (2, 4, 8):
        result, _ = run(*budget, f"training.batch_size={batch_size}")
        assert result.metrics["tokens_seen"] == 1024


def test_it_evaluates_every_eval_steps_and_after_the_last_step(run: Run) -> None:
    _, folder = run("training.max_steps=5")
    assert [report["step"] for report in reports(folder)] == [0, 2, 4, 5]


def test_the_first_report_is_the_base_model(run: Run) -> None:
    result, folder = run()
    assert reports(folder)[0]["eval_loss"] == result.metrics["base_eval_loss"]


def test_the_same_seed_gives_the_same_loss_to_the_last_digit_warm_or_cold(run: Run) -> None:
    base_models.evict_base_model()
    cold, _ = run("lora.dropout=0.1")
    warm, _ = run("lora.dropout=0.1")
    other, _ = run("lora.dropout=0.1", "seed=7")
    assert float(cold) == float(warm)
    assert float(cold) != float(other)


def test_another_number_of_threads_changes_the_loss_by_rounding_only(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    losses = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        losses.append(float(run()[0]))
    torch.set_num_threads(before)
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.learning_rate=0.01"],
        ["lora.use_dora=true", "lora.use_rslora=true"],
        ["lora.modules_to_save=[lm_head]", "lora.target_modules=[q_proj,v_proj]"],
        ["lora.init_lora_weights=pissa_niter_1", "training.learning_rate=0.01"],
        ["lora.init_lora_weights=pissa", "lora.use_dora=true", "lora.use_rslora=true"],
        ["lora.init_lora_weights=olora", "lora.modules_to_save=[embed_tokens]"],
    ],
)
def test_plain_peft_loads_the_adapter_and_gets_the_same_loss(
    overrides: list[str], run: Run, settings: Callable[..., Config], cache_dir: Path
) -> None:
    result, folder = run(*overrides)
    config = settings(*QUICK)
    fresh = base_models.load(config.model, torch.float32, cache_dir)
    held_out = prepare(config.data, fresh.tokenizer, cache_dir).evaluation
    model = PeftModel.from_pretrained(fresh.model, folder / "adapter")
    assert evaluate(model, held_out, 8).loss == pytest.approx(float(result), abs=1e-5)


# One row learnt by heart: the evaluation loss falls, then rises.
OVERFITTED = (
    "data.max_train_examples=1",
    "lora.modules_to_save=[lm_head]",
    "training.learning_rate=0.02",
    "training.max_steps=12",
    "training.eval_steps=1",
)


def test_the_best_checkpoint_is_the_one_that_is_kept(
    run: Run, settings: Callable[..., Config], cache_dir: Path
) -> None:
    result, folder = run(*OVERFITTED)
    losses = {r["step"]: r["eval_loss"] for r in reports(folder) if r["step"] > 0}
    best_step = min(losses, key=lambda step: losses[step])
    assert best_step < 12
    assert result.metrics["best_step"] == best_step
    assert float(result) == losses[best_step]
    config = settings(*QUICK)
    fresh = base_models.load(config.model, torch.float32, cache_dir)
    held_out = prepare(config.data, fresh.tokenizer, cache_dir).evaluation
    model = PeftModel.from_pretrained(fresh.model, folder / "adapter")
    assert evaluate(model, held_out, 8).loss == pytest.approx(losses[best_step], abs=1e-5)
    kept = {path.name for path in (folder / "checkpoints").iterdir()}
    assert kept == {f"checkpoint-{best_step}", "checkpoint-12"}  # the best and the last


def test_it_stops_when_the_patience_is_used_up(run: Run) -> None:
    result, folder = run(*OVERFITTED, "training.early_stopping_patience=2")
    losses = [r["eval_loss"] for r in reports(folder) if r["step"] > 0]
    assert result.metrics["steps"] == len(losses) < 12
    assert result.metrics["best_step"] == len(losses) - 2
    assert min(losses) == losses[-3]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant_with_warmup"])
def test_the_learning_rate_follows_the_schedule(schedule: str, run: Run) -> None:
    overrides = [f"training.lr_scheduler_type={schedule}", "training.learning_rate=0.1"]
    _, folder = run(
        *overrides, "training.max_steps=10", "training.eval_steps=1", "training.warmup_ratio=0.4"
    )
    rates = [report["learning_rate"] for report in reports(folder)[1:]]
    # The Trainer logs the rate of the step just done: 4 steps up from 0, then 6 steps by schedule.
    assert rates[:5] == pytest.approx([0.0, 0.025, 0.05, 0.075, 0.1])
    after = [(step - 4) / 6 for step in range(5, 10)]
    expected = {
        "linear": [0.1 * (1 - x) for x in after],
        "cosine": [0.1 * (1 + math.cos(math.pi * x)) / 2 for x in after],
        "constant_with_warmup": [0.1] * 5,
    }
    assert rates[5:] == pytest.approx(expected[schedule])


def test_a_loss_that_is_never_finite_is_told_as_divergence(run: Run) -> None:
    with pytest.raises(FloatingPointError, match="diverged"):
        run("training.learning_rate=1e30", "training.max_grad_norm=1e30", "training.warmup_ratio=0")


def test_the_configuration_is_not_changed(settings: Callable[..., Config], tmp_path: Path) -> None:
    config = settings(*QUICK)
    before = dataclasses.asdict(config)
    run_trial(config, tmp_path, channel())
    assert dataclasses.asdict(config) == before


def test_it_trains_on_completions_only(run: Run, tmp_path: Path) -> None:
    """Completions are equal and prompts differ, so the loss is that of the completions."""
    prompts = [f"{number * 7919 % 10007:05d}" for number in range(200)]
    records = [{"prompt": prompt, "completion": "zzzzzzzz"} for prompt in prompts]
    file = tmp_path / "records.jsonl"
    file.write_text("\n".join(map(json.dumps, records)))
    overrides = ["data=jsonl", f"data.train_files=[{file}]", "data.block_size=32"]
    result, _ = run(
        *overrides,
        "training.learning_rate=0.02",
        "training.max_steps=60",
        "training.eval_steps=30",
        "lora.modules_to_save=[lm_head]",
    )
    # Five random digits of fourteen tokens would cost 5 ln(10) / 14 = 0.82 nats a token.
    assert float(result) < 0.5


def test_bfloat16_trains_and_its_adapter_stays_float32(run: Run) -> None:
    result, folder = run("training.dtype=bf16", "training.learning_rate=0.01")
    assert float(result) < result.metrics["base_eval_loss"]
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_gradient_checkpointing_changes_memory_not_numbers(run: Run) -> None:
    plain, _ = run()
    checkpointed, _ = run("training.gradient_checkpointing=true")
    again, _ = run()
    assert float(checkpointed) == pytest.approx(float(plain), abs=1e-6)
    assert float(again) == float(plain)


def test_accumulated_batches_train_like_one_large_batch(run: Run) -> None:
    large, _ = run("training.batch_size=8")
    accumulated, _ = run("training.batch_size=2", "training.gradient_accumulation_steps=4")
    assert float(accumulated) == pytest.approx(float(large), abs=1e-5)


# Told to stop


class StoppedAt:
    """A channel that stops the trial at a step."""

    def __init__(self, step: int) -> None:
        self._step = step
        self.steps: list[int] = []

    def report(self, report: Report) -> Answer:
        self.steps.append(report.step)
        return Answer.CONTINUE if report.step < self._step else Answer.STOP

    def interrupted(self) -> bool:
        return False


@pytest.mark.parametrize(("step", "steps"), [(0, [0, 1]), (2, [0, 2])])
def test_a_trial_that_is_told_to_stop_returns_what_it_has(
    step: int, steps: list[int], settings: Callable[..., Config], tmp_path: Path
) -> None:
    told = StoppedAt(step)
    result = run_trial(settings(*QUICK, "training.max_steps=8"), tmp_path, told)
    assert told.steps == steps
    assert result.metrics["steps"] == result.metrics["best_step"] == steps[-1]
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    assert [line["step"] for line in reports(tmp_path)] == steps
