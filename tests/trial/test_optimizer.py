"""Every optimizer of transformers trains, keeps as much state as estimated, and resumes exactly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import get_scheduler
from transformers.training_args import OptimizerNames

from ugro.config import Config, LRScheduler
from ugro.config.validation.training import IN_BACKWARD, NOT_RESUMED
from ugro.errors import UserError
from ugro.events.channel import TrialInterruptedError
from ugro.trial.memory_estimate import estimate_memory
from ugro.trial.optimizer import check_optimizer
from ugro.trial.trial import run_trial

from ..conftest import QUICK
from .conftest import Run, reports
from .test_continuing import WEIGHTS, Told

Settings = Callable[..., Config]

# By the start of the name; the others are torch's and transformers' own.
PACKAGES = {
    "adamw_bnb_8bit": "bitsandbytes",
    "adamw_8bit": "bitsandbytes",
    "ademamix": "bitsandbytes",
    "lion_": "bitsandbytes",
    "paged_": "bitsandbytes",
    "rmsprop_bnb": "bitsandbytes",
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "schedule_free_": "schedulefree",
    "stable_adamw": "optimi",
}
LEFT_OUT = {
    "adamw_torch_xla": "needs torch_xla and its device",
    "adamw_torch_npu_fused": "needs torch_npu and its device",
    "adamw_anyprecision": "needs torchdistx, which is archived and has no package",
    "galore_adamw": "torch.load refuses the projectors in its state",
    "galore_adamw_8bit": "torch.load refuses the projectors in its state",
    "galore_adafactor": "torch.load refuses the projectors in its state",
    "galore_adamw_layerwise": "its state is in hooks, not in state_dict",
    "galore_adamw_8bit_layerwise": "its state is in hooks, not in state_dict",
    "galore_adafactor_layerwise": "its state is in hooks, not in state_dict",
    "apollo_adamw": "torch.load refuses the projectors in its state",
    "apollo_adamw_layerwise": "its state is in hooks, not in state_dict",
    "lomo": "steps within the backward pass: gradients are neither accumulated nor clipped",
    "adalomo": "steps within the backward pass: gradients are neither accumulated nor clipped",
    "grokadamw": "its state is not in state_dict",
}
TRAINED = [one.value for one in OptimizerNames if one.value not in LEFT_OUT]
COMPILED = {"adamw_torch_4bit", "adamw_torch_8bit"}  # for each shape, in half a minute
EACH = [
    pytest.param(name, marks=pytest.mark.long if name in COMPILED else (), id=name)
    for name in TRAINED
]
OTHER_DEVICES = {"adamw_torch_xla", "adamw_torch_npu_fused", "adamw_anyprecision"}
# Matrices of 4096 elements and more, which 8-bit optimizers quantise
LARGE = ("lora.r=64", "training.max_steps=3", "training.eval_steps=3")


def require(optimizer: str) -> None:
    for start, package in PACKAGES.items():
        if optimizer.startswith(start):
            pytest.importorskip(package)


def state_bytes(value: Any) -> int:
    """Return the bytes of all tensors in a saved state."""
    if isinstance(value, dict):
        return sum(map(state_bytes, value.values()))
    if hasattr(value, "__tensor_flatten__"):  # torchao's
        return sum(state_bytes(getattr(value, name)) for name in value.__tensor_flatten__()[0])
    return value.untyped_storage().nbytes() if isinstance(value, torch.Tensor) else 0


def test_what_is_left_out_is_refused_or_needs_another_device() -> None:
    starts = (*NOT_RESUMED, *IN_BACKWARD)
    refused = {one.value for one in OptimizerNames if one.value.startswith(starts)}
    assert refused == set(LEFT_OUT) - OTHER_DEVICES


@pytest.mark.parametrize("optimizer", EACH)
def test_an_optimizer_trains_three_steps_and_keeps_the_estimated_state(
    optimizer: str, run: Run, settings: Settings
) -> None:
    require(optimizer)
    chosen = (*LARGE, f"training.optim={optimizer}")
    result, folder = run(*chosen)
    assert result.metrics["steps"] == 3
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    if optimizer != "schedule_free_radam":  # RAdam takes no step before the fifth
        assert all(one.any() for name, one in weights.items() if "lora_B" in name)
    saved = torch.load(folder / "checkpoints/checkpoint-3/optimizer.pt", weights_only=False)
    kept = state_bytes(saved["state"])
    assert estimate_memory(settings(*QUICK, *chosen)).optimizer == pytest.approx(kept, rel=0.01)


@pytest.mark.parametrize(
    ("optimizer", "bytes_per_parameter"),
    [("sgd", 0), ("adamw_torch", 8), ("adagrad", 4), ("adafactor", 0.32), ("rmsprop", 4)],
)
def test_the_state_takes_so_many_bytes_for_each_trained_parameter(
    optimizer: str, bytes_per_parameter: float, settings: Settings
) -> None:
    """Adafactor keeps a value per row and column: 4 bytes * (16 + 64) / (16 * 64), in most."""
    counted = estimate_memory(settings(*QUICK, f"training.optim={optimizer}"))
    per_parameter = counted.optimizer / counted.trainable
    assert per_parameter == pytest.approx(bytes_per_parameter, abs=0.02)
    assert counted.states == counted.adapter + counted.optimizer


def test_the_state_of_a_large_matrix_is_estimated_from_some_of_its_rows(
    settings: Settings,
) -> None:
    config = settings(*QUICK, "model.random_llama.hidden_size=2048", "lora.target_modules=[q_proj]")
    config.lora.modules_to_save = ["embed_tokens", "lm_head"]
    config.model.random_llama.intermediate_size = 4096
    config.lora.r = 512
    counted = estimate_memory(config)
    assert counted.optimizer == pytest.approx(8 * counted.trainable, rel=1e-4)


@pytest.mark.parametrize(
    "optimizer",
    [
        "adafactor",
        "sgd",
        "adamw_8bit",
        pytest.param("adamw_torch_8bit", marks=pytest.mark.long),
        "schedule_free_adamw",
    ],
)
def test_a_trial_with_another_optimizer_resumes_bit_for_bit(
    optimizer: str, run: Run, settings: Settings, tmp_path: Path
) -> None:
    require(optimizer)
    chosen = (
        "lora.r=64",
        "training.max_steps=6",
        "lora.dropout=0.1",
        f"training.optim={optimizer}",
        "training.neftune_noise_alpha=5",
        "training.label_smoothing=0.1",
        "training.lr_scheduler_type=cosine_with_min_lr",
        "training.lr_scheduler_kwargs={min_lr_rate: 0.1}",
    )
    expected, folder = run(*chosen)
    config = settings(*QUICK, *chosen)
    for told in (Told(interrupt_after=2), Told(pause_at=4)):
        with pytest.raises(TrialInterruptedError):
            run_trial(config, tmp_path, told)
    result = run_trial(config, tmp_path, Told())
    assert result.metrics["eval_loss"] == expected.metrics["eval_loss"]
    once, twice = load_file(folder / WEIGHTS), load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_a_missing_package_is_named(settings: Settings) -> None:
    config = settings(*QUICK, "training.optim=adamw_torch_xla")
    with pytest.raises(UserError, match=r"^training\.optim: 'adamw_torch_xla' .*torch_xla") as told:
        check_optimizer(config)
    assert "\n" not in str(told.value)


def test_values_that_a_schedule_refuses_are_named(settings: Settings) -> None:
    config = settings(*QUICK, "training.lr_scheduler_kwargs={num_cycles: many}")
    with pytest.raises(UserError, match=r"^training\.lr_scheduler_kwargs: .* cosine takes .*many"):
        check_optimizer(config)


@pytest.mark.parametrize(
    ("schedule", "arguments"),
    [
        (LRScheduler.cosine_with_restarts, {"num_cycles": 2}),
        (LRScheduler.polynomial, {"power": 2.0, "lr_end": 1e-5}),
        (LRScheduler.cosine_with_min_lr, {"min_lr_rate": 0.5}),
        (LRScheduler.cosine_warmup_with_min_lr, {"min_lr": 1e-5}),
        (LRScheduler.warmup_stable_decay, {"num_decay_steps": 2, "min_lr_ratio": 0.1}),
    ],
)
def test_learning_rates_are_those_of_the_schedule(
    schedule: LRScheduler, arguments: dict[str, float], run: Run
) -> None:
    given = ", ".join(f"{name}: {value}" for name, value in arguments.items())
    _, folder = run(
        f"training.lr_scheduler_type={schedule.name}",
        f"training.lr_scheduler_kwargs={{{given}}}",
        "training.warmup_ratio=0.25",  # one step of four
        "training.eval_steps=1",
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2e-4)
    theirs = get_scheduler(schedule.name, optimizer, 1, 4, arguments)
    expected = []
    for _ in range(4):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert [line["learning_rate"] for line in reports(folder)[1:]] == pytest.approx(expected)


def test_noise_is_added_in_training_only_and_leaves_the_base_model(run: Run) -> None:
    plain, _ = run("training.learning_rate=1e-12")
    noisy, _ = run("training.learning_rate=1e-12", "training.neftune_noise_alpha=500")
    assert noisy.metrics["train_loss"] != pytest.approx(plain.metrics["train_loss"], rel=1e-4)
    assert noisy.metrics["eval_loss"] == plain.metrics["eval_loss"]
    again, _ = run("training.learning_rate=1e-12")
    assert again.metrics["train_loss"] == plain.metrics["train_loss"]
