"""Trials on quantised base models, compared with plain transformers, PEFT and bitsandbytes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PreTrainedModel,
)

from ugro.config import Config, QuantizationConfig
from ugro.events.channel import TrialInterruptedError, channel
from ugro.trial.data.preparation import Data, prepare
from ugro.trial.data.rows import Rows, collate, schedule
from ugro.trial.export.weights import export_merged
from ugro.trial.memory_estimate import estimate_memory
from ugro.trial.model import base_models
from ugro.trial.model.adapter import adapted
from ugro.trial.model.random_llama import byte_tokenizer
from ugro.trial.trial import run_trial

from ..conftest import QUICK
from .conftest import Run
from .small_models import saved_tiny
from .test_continuing import LONGER, Told

pytest.importorskip("bitsandbytes")
METHODS = ["bnb_nf4", "bnb_int8"]
PLAIN = {
    "bnb_nf4": BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    ),
    "bnb_int8": BitsAndBytesConfig(load_in_8bit=True),
}
STEPS = (
    "training.max_steps=3",
    "training.eval_steps=3",
    "training.learning_rate=1e-2",
    "training.lr_scheduler_type=constant",
    "training.warmup_ratio=0",
    "lora.init_lora_weights=gaussian",
)


@pytest.fixture(autouse=True)
def _no_base_model_of_another_test() -> Iterator[None]:
    yield
    base_models.evict_base_model()


def plain_base(folder: Path, method: str) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, quantization_config=PLAIN[method]
    )
    for module in model.modules():  # as on a CPU without AVX512-BF16: see keep_layout
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model.eval()


def plain_losses(model: torch.nn.Module, rows: Rows, indices: list[int]) -> Tensor:
    """Return the loss of each target of some rows."""
    batch: dict[str, Tensor] = {**collate([rows[index] for index in indices], pad=0)}
    labels = batch.pop("labels")[:, 1:].flatten()
    logits = model(**batch).logits[:, :-1].flatten(0, 1)
    return functional.cross_entropy(logits, labels, reduction="none")[labels != -100]


@torch.no_grad()
def plain_eval_loss(model: torch.nn.Module, data: Data) -> float:
    """Return the mean loss of all targets, each held-out row in a pass of its own."""
    model.eval()
    rows = Rows(data.evaluation)
    losses = torch.cat([plain_losses(model, rows, [index]) for index in range(len(rows))])
    return losses.double().mean().item()


def plain_training(model: PreTrainedModel, config: Config, data: Data) -> torch.nn.Module:
    """Train an adapter with PEFT and torch's AdamW, as the trial does."""
    training = config.training
    model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    torch.manual_seed(config.seed)
    adapter = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        target_modules="all-linear",
        init_lora_weights="gaussian",
    )
    model = peft.get_peft_model(model, adapter)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=training.learning_rate, weight_decay=training.weight_decay
    )
    order = schedule(config, data.train).order.tolist()
    rows, size = Rows(data.train), training.batch_size
    for begin in range(0, len(order), size):
        model.train()
        plain_losses(model, rows, order[begin : begin + size]).mean().backward()
        torch.nn.utils.clip_grad_norm_(trained, training.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
    return model


def data_of(config: Config) -> Data:
    return prepare(config.data, byte_tokenizer(), Path(config.cache_dir))


@pytest.mark.parametrize("method", METHODS)
def test_a_trial_gives_the_losses_of_plain_transformers_peft_and_bitsandbytes(
    method: str, settings: Callable[..., Config], tmp_path: Path
) -> None:
    config = settings(*QUICK, *STEPS, f"quantization={method}")
    result = run_trial(config, tmp_path, channel())
    data = data_of(config)
    plain = plain_base(saved_tiny(config.model.random_llama, tmp_path / "base"), method)
    before = plain_eval_loss(plain, data)
    assert result.metrics["base_eval_loss"] == pytest.approx(before, abs=1e-5)
    after = plain_eval_loss(plain_training(plain, config, data), data)
    assert result.metrics["eval_loss"] == pytest.approx(after, abs=1e-5)
    assert after < before - 0.01
    assert result.provenance["quantization"].startswith(method)


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("bnb_nf4", []),
        ("bnb_nf4", ["lora.use_dora=true", "lora.modules_to_save=[lm_head]"]),
        ("bnb_int8", ["lora.use_rslora=true", "lora.modules_to_save=[lm_head]"]),
    ],
)
def test_a_saved_adapter_gives_the_trials_loss_on_a_base_that_bitsandbytes_quantised(
    method: str, asked: list[str], settings: Callable[..., Config], tmp_path: Path
) -> None:
    config = settings(*QUICK, *STEPS, f"quantization={method}", *asked)
    result = run_trial(config, tmp_path, channel())
    plain = plain_base(saved_tiny(config.model.random_llama, tmp_path / "base"), method)
    loaded = peft.PeftModel.from_pretrained(plain, tmp_path / "adapter")
    found = plain_eval_loss(loaded, data_of(config))
    assert result.metrics["eval_loss"] == pytest.approx(found, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_trial_comes_to_what_it_would_have_come_to_at_once(
    method: str, run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    asked = (*LONGER, f"quantization={method}")
    at_once, folder = run(*asked)
    config = settings(*QUICK, *asked)
    with pytest.raises(TrialInterruptedError):
        run_trial(config, tmp_path, Told(interrupt_after=5))
    base_models.evict_base_model()  # as in another process
    again = Told()
    result = run_trial(config, tmp_path, again)
    assert again.reports[0].step > 2  # not from zero
    assert result.metrics["eval_loss"] == at_once.metrics["eval_loss"]
    weights = "adapter/adapter_model.safetensors"
    expected, found = load_file(folder / weights), load_file(tmp_path / weights)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("method", METHODS)
def test_the_next_trial_finds_the_base_model_as_it_was_loaded(
    method: str, settings: Callable[..., Config], tmp_path: Path
) -> None:
    config = settings(
        *QUICK,
        f"quantization={method}",
        "lora.modules_to_save=[lm_head]",
        "objectives=loss_latency",
        "latency.new_tokens=2",
        "latency.repeats=1",
    )
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    first = run_trial(config, tmp_path / "first", channel())
    base = base_models.base_model(
        config.model, torch.float32, tmp_path, quantization=config.quantization
    )
    base.evaluations.clear()
    second = run_trial(config, tmp_path / "second", channel())
    for name in ("base_eval_loss", "eval_loss", "train_loss"):
        assert first.metrics[name] == second.metrics[name]
    assert first.metrics["latency_ms"] > 0


@pytest.mark.parametrize("method", METHODS)
def test_a_merge_dequantises_the_base_model(
    method: str, settings: Callable[..., Config], tmp_path: Path
) -> None:
    config = settings(*QUICK, *STEPS, f"quantization={method}")
    result = run_trial(config, tmp_path, channel())
    into = tmp_path / "merged"
    into.mkdir()
    merged = export_merged(config, tmp_path, into, "fp32")
    plain = AutoModelForCausalLM.from_pretrained(into)
    assert not hasattr(plain.config, "quantization_config")
    assert merged.as_trained is not None
    # LLM.int8() also rounds activations, which a merged model does not.
    most = {"bnb_nf4": 1e-4, "bnb_int8": 0.05}[method]
    assert merged.as_trained.difference < most
    apart = {"bnb_nf4": 1e-5, "bnb_int8": 1e-3}[method]
    found = plain_eval_loss(plain, data_of(config))
    assert result.metrics["eval_loss"] == pytest.approx(found, abs=apart)


@pytest.mark.parametrize("double", ["true", "false"])
def test_the_estimate_counts_the_bytes_of_nf4(double: str, settings: Callable[..., Config]) -> None:
    asked = ("quantization=bnb_nf4", f"quantization.double_quantization={double}")
    _check_estimate(settings(*QUICK, *asked), _bytes_of_nf4)


def test_the_estimate_counts_the_bytes_of_int8(settings: Callable[..., Config]) -> None:
    _check_estimate(settings(*QUICK, "quantization=bnb_int8"), _bytes_of_int8)


def _check_estimate(config: Config, bytes_of: Callable[[Any], int]) -> None:
    base = base_models.load(
        config.model, torch.float32, Path(), quantization=config.quantization
    ).model
    linears = [one for one in base.modules() if type(one).__name__.startswith("Linear")]
    quantised = [one for one in linears if not one.weight.is_floating_point()]
    assert len(quantised) == 14  # seven in each of two layers
    inside = {id(one.weight) for one in quantised}
    others = sum(one.nbytes for one in base.parameters() if id(one) not in inside)
    real = others + sum(bytes_of(one) for one in quantised)
    counted = estimate_memory(config)
    assert counted.weights - counted.adapter == pytest.approx(real, rel=1e-3)
    with adapted(base_models.BaseModel(base, byte_tokenizer()), config.lora) as model:
        assert counted.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    plain = estimate_memory(replace(config, quantization=QuantizationConfig()))
    assert counted.parameters == plain.parameters
    assert counted.weights < 0.7 * plain.weights


def _bytes_of_nf4(linear: Any) -> int:
    """Count what a layer has of its own: the codes of NF4 are the same for all."""
    state = linear.weight.quant_state
    scales = state.absmax.nbytes + (state.state2.absmax.nbytes if state.nested else 0)
    return int(linear.weight.nbytes + scales)


def _bytes_of_int8(linear: Any) -> int:
    scales = linear.weight.SCB if linear.state.SCB is None else linear.state.SCB
    return int(linear.weight.nbytes + scales.nbytes)
