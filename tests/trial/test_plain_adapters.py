"""A saved adapter loaded by PEFT equals the trained adapter."""

import copy
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from torch import Tensor

from ugro.config import Config, LoraConfig
from ugro.trial.data.preparation import prepare
from ugro.trial.model.adapter import adapted, save_adapter
from ugro.trial.model.base_models import BaseModel
from ugro.trial.model.random_llama import byte_tokenizer
from ugro.trial.tasks.language_modeling import evaluate

from ..conftest import QUICK
from .conftest import Run, reports
from .small_models import saved_model, small_model

Settings = Callable[..., Config]

IDS = torch.arange(96).reshape(3, 32) * 7 % 256

INITIALISATIONS = ["true", "false", "gaussian", "orthogonal", "olora", "pissa", "pissa_niter_2"]
DENSE = ["gpt2", "llama", "llama_tied", "qwen2"]
VARIANTS = {
    "plain": [],
    "dora": ["lora.use_dora=true"],
    "rslora": ["lora.use_rslora=true"],
    "biases": ["lora.bias=all"],
    "biases of adapted layers": ["lora.bias=lora_only"],
    "everything": ["lora.use_dora=true", "lora.use_rslora=true", "lora.bias=all"],
}


def steps(model: torch.nn.Module, count: int = 2) -> None:
    """Train for a few large steps."""
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    model.train()
    for _ in range(count):
        optimizer.zero_grad()
        with as_trained(model):
            loss = model(input_ids=IDS, labels=IDS).loss
        loss.backward()
        optimizer.step()
    model.eval()


@torch.no_grad()
def logits(model: torch.nn.Module) -> Tensor:
    with as_trained(model):
        return model(input_ids=IDS).logits


def as_trained(model: torch.nn.Module) -> torch.autocast:
    """Return autocast for base models of half precision."""
    dtype = next(model.parameters()).dtype
    return torch.autocast("cpu", dtype, enabled=dtype is not torch.float32)


def trip(kind: str, config: LoraConfig, folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits of base model, trained adapter, and saved and reloaded adapter."""
    plain = small_model(kind)
    of_base = logits(plain)
    torch.manual_seed(1)
    with adapted(BaseModel(copy.deepcopy(plain), byte_tokenizer()), config) as model:
        steps(model)
        of_trial = logits(model)
        save_adapter(model, folder)
        assert torch.equal(logits(model), of_trial)  # saving changes nothing
    loaded = peft.PeftModel.from_pretrained(plain, folder).eval()
    return of_base, of_trial, logits(loaded)


def check(kind: str, config: LoraConfig, folder: Path) -> None:
    of_base, of_trial, of_loaded = trip(kind, config, folder)
    assert (of_trial - of_base).abs().max() > 1e-2
    torch.testing.assert_close(of_loaded, of_trial, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "how"),
    [(k, h) for k in DENSE for h in INITIALISATIONS if (k, h) != ("gpt2", "olora")],  # refused
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_adapter_of_a_dense_model(
    kind: str, variant: str, how: str, settings: Settings, tmp_path: Path
) -> None:
    asked = ["lora.r=4", f"lora.init_lora_weights={how}", *VARIANTS[variant]]
    check(kind, settings("model=tiny", *asked).lora, tmp_path)


@pytest.mark.parametrize("adapt", ["whole", "by rank"])
@pytest.mark.parametrize(
    ("kind", "how"),
    [("gpt2", "true"), ("gpt2", "pissa")]
    + [(kind, how) for kind in ("llama", "llama_tied") for how in ("true", "pissa", "olora")],
)
def test_an_embedding_that_is_trained_whole_or_by_rank(
    kind: str, how: str, adapt: str, settings: Settings, tmp_path: Path
) -> None:
    embedding, projection = ("wte", "c_attn") if kind == "gpt2" else ("embed_tokens", "q_proj")
    config = settings("model=tiny", "lora.r=4", f"lora.init_lora_weights={how}").lora
    if adapt == "whole":
        config.modules_to_save = [embedding]
    else:
        config.target_modules = [projection, embedding]
    check(kind, config, tmp_path)


@pytest.mark.parametrize("how", INITIALISATIONS[:-1])
@pytest.mark.parametrize("asked", [[], ["lora.use_rslora=true", "lora.bias=all"]])
@pytest.mark.parametrize("kind", ["mixtral", "qwen2moe"])
def test_an_adapter_of_a_mixture_of_experts(
    kind: str, asked: list[str], how: str, settings: Settings, tmp_path: Path
) -> None:
    asked = ["lora.r=4", f"lora.init_lora_weights={how}", *asked]
    check(kind, settings("model=tiny", *asked).lora, tmp_path)


def test_dora_and_dropout_leave_experts_out(settings: Settings, tmp_path: Path) -> None:
    for asked in ("lora.use_dora=true", "lora.dropout=0.1"):
        for kind in ("mixtral", "qwen2moe"):
            check(kind, settings("model=tiny", "lora.r=4", asked).lora, tmp_path / asked / kind)


def test_an_output_that_shares_the_embeddings_weights_goes_on_sharing_them(
    settings: Settings,
) -> None:
    base = BaseModel(small_model("llama_tied"), byte_tokenizer())
    with adapted(base, settings("model=tiny", "lora.modules_to_save=[embed_tokens]").lora) as model:
        steps(model)
        trained = model.get_input_embeddings().modules_to_save["default"].weight
        output = model.get_output_embeddings().modules_to_save["default"].weight
        assert trained is output
        assert not torch.equal(trained, model.get_input_embeddings().original_module.weight)
    assert base.model.get_output_embeddings().weight is base.model.get_input_embeddings().weight


@pytest.mark.parametrize("how", ["pissa", "olora"])
def test_on_a_half_precision_base_it_differs_by_the_bases_own_rounding(
    how: str, settings: Settings, tmp_path: Path
) -> None:
    config = settings("model=tiny", "lora.r=4", f"lora.init_lora_weights={how}").lora
    base = BaseModel(small_model("llama", torch.bfloat16), byte_tokenizer())
    with adapted(base, config) as model:
        steps(model)
        of_trial = logits(model)
        save_adapter(model, tmp_path)
    loaded = peft.PeftModel.from_pretrained(small_model("llama", torch.bfloat16), tmp_path).eval()
    assert (logits(loaded) - of_trial).abs().max() < 0.02


def test_a_converted_adapter_says_what_it_is(settings: Settings, tmp_path: Path) -> None:
    config = settings("model=tiny", "lora.r=4", "lora.alpha=8", "lora.init_lora_weights=pissa")
    trip("llama", config.lora, tmp_path)
    saved = peft.LoraConfig.from_pretrained(tmp_path)
    assert (saved.r, saved.lora_alpha, saved.init_lora_weights) == (8, 16, True)
    assert saved.inference_mode


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("gpt2", ["lora.bias=all"]),
        ("qwen2", ["lora.init_lora_weights=pissa", "lora.bias=all", "lora.use_dora=true"]),
        ("llama_tied", ["lora.modules_to_save=[embed_tokens]"]),
        ("mixtral", []),
        ("qwen2moe", []),
    ],
)
def test_the_best_checkpoint_of_a_trial_is_what_plain_peft_loads(
    kind: str, asked: list[str], run: Run, settings: Settings, tmp_path: Path, cache_dir: Path
) -> None:
    """Overfit a single row: the evaluation loss falls, then rises."""
    model = ["model=local", f"model.path={saved_model(kind, tmp_path)}"]
    learnt = ["data.max_train_examples=1", "training.learning_rate=0.03", "training.max_steps=40"]
    result, folder = run(*model, *learnt, "training.eval_steps=4", *asked)
    losses = {one["step"]: one["eval_loss"] for one in reports(folder) if one["step"] > 0}
    assert result.metrics["best_step"] < 40
    assert losses[40] > float(result) + 1e-3
    config = settings(*QUICK, *model)
    part = prepare(config.data, byte_tokenizer(), cache_dir).evaluation
    loaded = peft.PeftModel.from_pretrained(small_model(kind), folder / "adapter")
    assert evaluate(loaded, part, 8).loss == pytest.approx(float(result), abs=1e-5)
