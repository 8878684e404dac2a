from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from tests.conftest import QUICK
from ugro.config import Config
from ugro.errors import UserError
from ugro.events.channel import channel
from ugro.trial import hardware
from ugro.trial.loss import summed_loss, token_losses
from ugro.trial.memory_estimate import estimate_memory
from ugro.trial.model import chunked_head
from ugro.trial.model.adapter import adapted
from ugro.trial.model.base_models import evict_base_model, load
from ugro.trial.model.chunked_head import chunk_bytes
from ugro.trial.trial import run_trial

from .small_models import saved_model

Settings = Callable[..., Config]
EVALUATED_IN_PARTS = ("training.eval_batch_size=1",)  # so that training needs more memory


@pytest.mark.parametrize(
    "asked",
    [
        ["lora.r=8"],
        ["lora.r=32", "lora.target_modules=[q_proj]", "lora.modules_to_save=[lm_head]"],
        ["lora.use_dora=true", "lora.init_lora_weights=pissa"],
    ],
)
def test_what_is_counted_is_what_a_trial_has(asked: list[str], settings: Settings) -> None:
    config = settings(*QUICK, *asked)
    counted = estimate_memory(config)
    base = load(config.model, hardware.precision(config.training.dtype), config.cache_dir)
    with adapted(base, config.lora) as model:
        parameters = list(model.parameters())
        trained = [one for one in parameters if one.requires_grad]
        assert counted.parameters == sum(one.numel() for one in parameters)
        assert counted.trainable == sum(one.numel() for one in trained)
        assert counted.weights == sum(one.nbytes for one in parameters)
        states = 3 * sum(one.nbytes for one in trained)
        assert counted.states == pytest.approx(states, rel=1e-2)  # AdamW counts the steps, too


@pytest.mark.parametrize("kind", ["gpt2", "mixtral", "qwen2moe"])
@pytest.mark.parametrize(
    "asked", [[], ["lora.use_dora=true"], ["lora.bias=all", "lora.modules_to_save=[lm_head]"]]
)
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_what_is_counted_is_what_a_trial_of_another_kind_has(
    kind: str, asked: list[str], dtype: str, settings: Settings, tmp_path: Path
) -> None:
    path = saved_model(kind, tmp_path)
    quick = [one for one in QUICK if not one.startswith(("model=", "training.dtype"))]
    where = ["model=local", f"model.path={path}", f"training.dtype={dtype}"]
    config = settings(*quick, *where, *asked)
    counted = estimate_memory(config)
    base = load(config.model, hardware.precision(config.training.dtype), config.cache_dir)
    with adapted(base, config.lora) as model:
        trained = [one for one in model.parameters() if one.requires_grad]
        assert counted.trainable == sum(one.numel() for one in trained)
        assert counted.weights == sum(one.nbytes for one in model.parameters())
        assert counted.adapter == sum(one.nbytes for one in trained)
    assert counted.activations > 0


@pytest.mark.parametrize(
    ("checkpointed", "accumulated", "batch_sizes"),
    [("false", 1, (8, 4)), ("true", 2, (8, 4)), ("true", 1, (2, 16))],
)
@pytest.mark.parametrize("kind", ["gpt2", "mixtral", "qwen2moe", "llama"])
def test_the_peak_is_about_that_of_a_real_step_and_evaluation(
    kind: str,
    checkpointed: str,
    accumulated: int,
    batch_sizes: tuple[int, int],
    settings: Settings,
    tmp_path: Path,
) -> None:
    """torch's profiler follows the allocations of a real step on the CPU."""
    rows, eval_rows = batch_sizes
    config = settings(
        *("model=local", f"model.path={saved_model(kind, tmp_path)}", "training.dtype=fp32"),
        *("data.block_size=64", f"training.batch_size={rows}"),
        f"training.eval_batch_size={eval_rows}",
        f"training.gradient_checkpointing={checkpointed}",
        f"training.gradient_accumulation_steps={accumulated}",
    )
    base = load(config.model, torch.float32, config.cache_dir)
    ids, held_out = (torch.zeros((size, 64), dtype=torch.long) for size in batch_sizes)
    with adapted(base, config.lora) as adapter:
        if config.training.gradient_checkpointing:
            adapter.enable_input_require_grads()
            adapter.activation_checkpointing_enable()
        adapter.train()
        summed_loss(adapter, ids, ids)  # checks once whether the head runs in chunks
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            for _ in range(accumulated):
                summed_loss(adapter, ids, ids).backward()
            adapter.zero_grad()
            token_losses(adapter.eval(), held_out, held_out)
    events = profiler.profiler.kineto_results.events()
    allocated = [one for one in events if one.name() == "[memory]"]
    allocated.sort(key=lambda one: one.start_ns())
    real = max(accumulate(one.nbytes() for one in allocated))
    estimate = estimate_memory(config)
    counted = estimate.activations + estimate.adapter
    assert 0.9 * real < counted < 1.2 * real + chunk_bytes(base.model, 64 * max(batch_sizes)) / 3


def test_a_row_that_is_longer_than_the_models_positions_is_told(
    settings: Settings, tmp_path: Path
) -> None:
    path = saved_model("gpt2", tmp_path)
    config = settings("model=local", f"model.path={path}", "data.block_size=65")
    with pytest.raises(UserError, match=r"^data\.block_size: 65 given, allowed: 64 at most"):
        estimate_memory(config)


@pytest.mark.parametrize("targets", ["[q_proj,norm]", "[self_attn]"])
def test_a_module_that_cannot_be_adapted_is_told(targets: str, settings: Settings) -> None:
    with pytest.raises(UserError, match=r"^lora\.target_modules: .* is of the kind Llama"):
        estimate_memory(settings(*QUICK, f"lora.target_modules={targets}"))


def test_activations_grow_with_the_batch_and_shrink_with_checkpointing(settings: Settings) -> None:
    small, large, checkpointed = (
        estimate.activations + estimate.adapter  # the gradients are a part of the peak
        for estimate in (
            estimate_memory(settings(*QUICK, *EVALUATED_IN_PARTS, *asked))
            for asked in (
                ["training.batch_size=4"],
                ["training.batch_size=8"],
                ["training.batch_size=8", "training.gradient_checkpointing=true"],
            )
        )
    )
    assert large == pytest.approx(2 * small, rel=0.02)
    assert checkpointed < 0.7 * large


def test_no_data_are_held(settings: Settings) -> None:
    huge = ["model.random_llama.hidden_size=65536", "model.random_llama.intermediate_size=262144"]
    assert estimate_memory(settings(*QUICK, *huge)).weights > 2**38


def test_a_module_that_the_model_lacks_is_told(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"^lora\.target_modules: 'nonsense' given"):
        estimate_memory(settings(*QUICK, "lora.target_modules=[nonsense]"))


def test_logits_are_counted_by_the_chunk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpointed = ["training.batch_size=8", "training.gradient_checkpointing=true"]
    narrow = ["model.random_llama.hidden_size=16", "model.random_llama.intermediate_size=16"]
    config = settings(*QUICK, *EVALUATED_IN_PARTS, *checkpointed, *narrow)
    one_chunk = estimate_memory(config).activations
    assert one_chunk >= 3 * 4 * 258 * 8 * 32  # logits, probabilities and as much again
    monkeypatch.setattr(chunked_head, "CHUNK_BYTES", 0)  # a token each
    assert estimate_memory(config).activations < 0.5 * one_chunk


def test_an_estimate_for_a_gpu_does_not_depend_on_this_machine(settings: Settings) -> None:
    """On a CPU a trial cannot be fp16, and auto is fp32."""
    quick = [one for one in QUICK if not one.startswith("training.dtype")]
    auto, fp16, fp32 = (
        estimate_memory(settings(*quick, "estimate.gpu_memory_gb=16", f"training.dtype={dtype}"))
        for dtype in ("auto", "fp16", "fp32")
    )
    assert auto == fp16
    assert auto.process == 0.5e9
    assert auto.weights - auto.adapter == (fp32.weights - fp32.adapter) / 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("checkpointed", ["false", "true"])
@pytest.mark.parametrize("method", ["none", "bnb_nf4"])
def test_the_measured_peak_of_a_gpu_is_about_the_estimate(
    method: str, checkpointed: str, settings: Settings, tmp_path: Path
) -> None:
    """A random Llama of the shape of Llama 3.2 1B, on rows of 512 bytes."""
    if method != "none":
        pytest.importorskip("bitsandbytes")
    shape = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16}
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8}
    quick = [one for one in QUICK if not one.startswith(("data.block_size", "training.dtype"))]
    config = settings(
        *quick,
        *(f"model.random_llama.{name}={value}" for name, value in {**shape, **heads}.items()),
        *("data.block_size=512", "training.dtype=bf16", f"quantization={method}"),
        f"training.gradient_checkpointing={checkpointed}",
    )
    measured = run_trial(config, tmp_path, channel()).metrics["peak_memory_mb"]
    evict_base_model()
    estimate = estimate_memory(config)
    estimated = (estimate.memory - estimate.process) / hardware.MIB
    print(f"{method}, checkpointed {checkpointed}: {measured:.0f} MiB, estimated {estimated:.0f}")
    assert 0.9 * measured < estimated < 1.3 * measured
