from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial import models
from ugro.trial.adapter import adapted
from ugro.trial.models import BaseModel
from ugro.trial.tiny import byte_tokenizer


@pytest.fixture
def base(settings: Callable[..., Config]) -> BaseModel:
    return models.load(settings("model=tiny").model, torch.float32, Path())


def weights(base: BaseModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in base.model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def one_step(model: torch.nn.Module) -> None:
    """A large optimizer step on whatever is trainable."""
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
    tokenizer = byte_tokenizer()
    shape = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    base = BaseModel(Qwen2ForCausalLM(shape).requires_grad_(False), tokenizer)
    before = weights(base)
    with adapted(base, settings("model=tiny", "lora.bias=all").lora) as model:
        one_step(model)
        during = dict(model.named_parameters())
        changed = during["base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias"]
        assert changed.abs().max() > 0  # Qwen2's biases start at 0
    assert same(before, weights(base))


@pytest.mark.parametrize("initialisation", ["pissa", "olora"])
def test_an_initialisation_that_rewrites_the_base_makes_the_process_forget_it(
    initialisation: str, settings: Callable[..., Config]
) -> None:
    config = settings("model=tiny", f"lora.init_lora_weights={initialisation}")
    first = models.base_model(config.model, torch.float32, Path())
    with adapted(first, config.lora):
        pass
    assert models.base_model(config.model, torch.float32, Path()) is not first


def test_a_trial_that_fails_makes_the_process_forget_the_base_model(
    settings: Callable[..., Config],
) -> None:
    config = settings("model=tiny")
    first = models.base_model(config.model, torch.float32, Path())
    with pytest.raises(RuntimeError, match="half way"), adapted(first, config.lora):
        raise RuntimeError("half way")
    assert models.base_model(config.model, torch.float32, Path()) is not first


def test_so_does_an_adapter_that_fits_only_half_of_the_modules(
    settings: Callable[..., Config],
) -> None:
    # PEFT goes through the model in order: q_proj has its adapter when the norm is refused.
    config = settings("model=tiny", "lora.target_modules=[q_proj,post_attention_layernorm]")
    first = models.base_model(config.model, torch.float32, Path())
    before = weights(first).keys()
    with pytest.raises(ValueError, match="is not supported"), adapted(first, config.lora):
        pass
    assert weights(first).keys() != before  # it was left half way
    assert weights(models.base_model(config.model, torch.float32, Path())).keys() == before


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
