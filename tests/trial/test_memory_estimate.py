from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import QUICK
from ugro.config import Config
from ugro.errors import UserError
from ugro.trial import hardware
from ugro.trial.memory_estimate import estimate_memory
from ugro.trial.model import chunked_head
from ugro.trial.model.adapter import adapted
from ugro.trial.model.base_models import load

from .small_models import saved_model

Settings = Callable[..., Config]


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


@pytest.mark.parametrize("checkpointed", ["false", "true"])
@pytest.mark.parametrize("kind", ["gpt2", "mixtral", "qwen2moe"])
def test_activations_are_about_what_autograd_keeps(
    kind: str, checkpointed: str, settings: Settings, tmp_path: Path
) -> None:
    model = ["model=local", f"model.path={saved_model(kind, tmp_path)}", "training.dtype=fp32"]
    shape = ["data.block_size=64", "training.batch_size=8"]
    config = settings(*model, *shape, f"training.gradient_checkpointing={checkpointed}")
    base = load(config.model, torch.float32, config.cache_dir)
    with adapted(base, config.lora) as adapter:
        adapter.train()
        if config.training.gradient_checkpointing:
            adapter.enable_input_require_grads()
            adapter.activation_checkpointing_enable()
        own = {id_of(one) for one in (*adapter.parameters(), *adapter.buffers())}
        kept: dict[int, torch.Tensor] = {}
        ids = torch.zeros((8, 64), dtype=torch.long)

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[id_of(tensor)] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
            adapter(input_ids=ids, labels=ids, use_cache=False)
    sizes = [one.untyped_storage().nbytes() for address, one in kept.items() if address not in own]
    real = sum(sizes) + 2 * max(sizes)
    assert 0.95 * real < estimate_memory(config).activations < 1.5 * real


def id_of(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


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
        estimate_memory(settings(*QUICK, *asked)).activations
        for asked in (
            ["training.batch_size=4"],
            ["training.batch_size=8"],
            ["training.batch_size=8", "training.gradient_checkpointing=true"],
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
    config = settings(*QUICK, "training.batch_size=8", "training.gradient_checkpointing=true")
    one_chunk = estimate_memory(config).activations
    assert one_chunk >= 3 * 4 * 258 * 8 * 32  # logits, probabilities and as much again
    monkeypatch.setattr(chunked_head, "CHUNK_BYTES", 0)  # a token each
    assert estimate_memory(config).activations < 0.5 * one_chunk
