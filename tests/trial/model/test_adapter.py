from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial.latency import merged
from ugro.trial.model import base_models
from ugro.trial.model.adapter import adapted
from ugro.trial.model.base_models import BaseModel
from ugro.trial.model.random_llama import byte_tokenizer

from ..small_models import KINDS, small_model


@pytest.fixture
def base(settings: Callable[..., Config]) -> BaseModel:
    return base_models.load(settings("model=tiny").model, torch.float32, Path())


def weights(base: BaseModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in base.model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def one_step(model: torch.nn.Module) -> None:
    """Take a large optimizer step on all trainable parameters."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=10.0)
    ids = torch.arange(64, device=model.device).reshape(2, 32)
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["lora.use_dora=true"],
        ["lora.use_rslora=true", "lora.dropout=0.5"],
        ["lora.target_modules=[q_proj,v_proj]", "lora.modules_to_save=[lm_head]"],
        ["lora.init_lora_weights=false"],
        ["lora.init_lora_weights=orthogonal"],
    ],
)
def test_the_base_model_comes_out_as_it_went_in(
    overrides: list[str], base: BaseModel, settings: Callable[..., Config]
) -> None:
    before = weights(base)
    with adapted(base, settings("model=tiny", *overrides).lora) as model:
        one_step(model)
    assert same(before, weights(base))
    assert not any(p.requires_grad for p in base.model.parameters())


def test_biases_trained_in_place_are_put_back(settings: Callable[..., Config]) -> None:
    base = BaseModel(small_model("qwen2"), byte_tokenizer())
    before = weights(base)
    with adapted(base, settings("model=tiny", "lora.bias=all").lora) as model:
        one_step(model)
        during = dict(model.named_parameters())
        changed = during["base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias"]
        assert not torch.equal(changed, before["model.layers.0.self_attn.q_proj.bias"])
    assert same(before, weights(base))


@pytest.mark.parametrize("initialisation", ["pissa", "olora"])
def test_an_initialisation_that_rewrites_the_base_makes_the_process_forget_it(
    initialisation: str, settings: Callable[..., Config]
) -> None:
    config = settings("model=tiny", f"lora.init_lora_weights={initialisation}")
    first = base_models.base_model(config.model, torch.float32, Path())
    with adapted(first, config.lora):
        pass
    assert base_models.base_model(config.model, torch.float32, Path()) is not first


def test_a_trial_that_fails_makes_the_process_forget_the_base_model(
    settings: Callable[..., Config],
) -> None:
    config = settings("model=tiny")
    first = base_models.base_model(config.model, torch.float32, Path())
    with pytest.raises(RuntimeError, match="half way"), adapted(first, config.lora):
        raise RuntimeError("half way")
    assert base_models.base_model(config.model, torch.float32, Path()) is not first


def test_so_does_an_adapter_that_fits_only_half_of_the_modules(
    settings: Callable[..., Config],
) -> None:
    config = settings("model=tiny", "lora.init_lora_weights=pissa", "lora.target_modules=[q_proj]")
    first = base_models.base_model(config.model, torch.float32, Path())
    before = weights(first).keys()
    # PEFT goes through the model in order: layer 0 has its adapter when layer 1 is refused.
    first.model.model.layers[1].self_attn.q_proj.double()
    refused = r"^lora: PEFT cannot put this adapter onto LlamaForCausalLM \(TypeError: .* float32"
    with pytest.raises(UserError, match=refused), adapted(first, config.lora):
        pass
    assert weights(first).keys() != before  # it was left half way
    assert weights(base_models.base_model(config.model, torch.float32, Path())).keys() == before


IN_FLOAT32 = {
    "adapters": [],
    "dora": ["lora.use_dora=true"],
    "all biases": ["lora.bias=all"],
    "biases of adapted layers": ["lora.bias=lora_only"],
    "output": ["lora.modules_to_save=[lm_head]"],
    "embedding": ["lora.modules_to_save=[embed_tokens]"],
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("asked", IN_FLOAT32)
@pytest.mark.parametrize("kind", KINDS)
def test_all_that_is_trained_is_float32_on_a_half_precision_base(
    kind: str, asked: str, dtype: torch.dtype, settings: Callable[..., Config]
) -> None:
    base = BaseModel(small_model(kind, dtype), byte_tokenizer())
    before = weights(base)
    config = settings("model=tiny", *IN_FLOAT32[asked]).lora
    if kind == "gpt2" and config.modules_to_save == ["embed_tokens"]:
        config.modules_to_save = ["wte"]
    with adapted(base, config) as model:
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        assert {p.dtype for p in trained.values()} == {torch.float32}
        start = {name: p.detach().clone() for name, p in trained.items()}
        two_steps_of_mixed_precision(model, list(trained.values()), dtype)
        assert [name for name, p in trained.items() if torch.equal(p, start[name])] == []
    assert same(before, weights(base))
    assert {p.dtype for p in base.model.parameters()} == {dtype}


def two_steps_of_mixed_precision(
    model: torch.nn.Module, trained: list[torch.nn.Parameter], dtype: torch.dtype
) -> None:
    """Train as transformers' Trainer does: autocast, gradient scaler for fp16, clipping."""
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    scaler = torch.amp.GradScaler("cpu", enabled=dtype is torch.float16)
    ids = torch.arange(128).reshape(4, 32) * 7 % 256
    for _ in range(2):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        scaler.step(optimizer)
        scaler.update()


@pytest.mark.parametrize("kind", ["mixtral", "qwen2moe"])
def test_experts_come_out_as_they_went_in(kind: str, settings: Callable[..., Config]) -> None:
    base = BaseModel(small_model(kind), byte_tokenizer())
    before = weights(base)
    with adapted(base, settings("model=tiny").lora) as model:
        one_step(model)
        with merged(model):
            pass
    assert same(before, weights(base))


def test_r_and_target_modules_decide_the_trainable_parameters(
    base: BaseModel, settings: Callable[..., Config]
) -> None:
    config = settings("model=tiny", "lora.r=3", "lora.target_modules=[q_proj,v_proj]").lora
    with adapted(base, config) as model:
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    # two layers of q: 64 -> 64 and v: 64 -> 32 (two of four heads), A is [r, in], B is [out, r]
    assert trainable == 2 * (3 * (64 + 64) + 3 * (64 + 32))


@pytest.mark.parametrize(
    ("overrides", "scaling"), [([], 8 / 4), (["lora.use_rslora=true"], 8 / 4**0.5)]
)
def test_the_scaling_is_alpha_over_r_or_over_its_root(
    overrides: list[str], scaling: float, base: BaseModel, settings: Callable[..., Config]
) -> None:
    config = settings("model=tiny", "lora.r=4", "lora.alpha=8", *overrides).lora
    with adapted(base, config) as model:
        layer = model.base_model.model.model.layers[0].self_attn.q_proj
        assert layer.scaling["default"] == scaling


@pytest.mark.parametrize("key", ["target_modules", "modules_to_save"])
def test_a_module_that_the_model_lacks_is_refused_even_beside_one_that_it_has(
    key: str, base: BaseModel, settings: Callable[..., Config]
) -> None:
    config = settings("model=tiny").lora
    setattr(config, key, ["q_proj", "qq_proj"])
    with (
        pytest.raises(UserError, match=rf"^lora\.{key}: 'qq_proj' given, .*q_proj"),
        adapted(base, config),
    ):
        pass
