"""Quantised checkpoints, and what an adapter may do with quantised weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from ugro.config import Config
from ugro.errors import UserError
from ugro.events.channel import channel
from ugro.trial.export.weights import export_merged
from ugro.trial.memory_estimate import estimate_memory
from ugro.trial.model import base_models
from ugro.trial.model.adapter import adapted
from ugro.trial.model.quantization import is_quantised
from ugro.trial.model.random_llama import byte_tokenizer
from ugro.trial.model.weight_storage import WeightStorage
from ugro.trial.trial import run_trial

from ...conftest import QUICK
from ..small_models import saved_model

Settings = Callable[..., Config]
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}
WITHOUT_MODEL = [one for one in QUICK if not one.startswith("model=")]


def checkpoint(folder: Path, quantised: dict[str, Any]) -> Path:
    """Return a folder whose config.json says how its weights are quantised."""
    saved_model("llama", folder)
    path = folder / "config.json"
    written = json.loads(path.read_text()) | {"quantization_config": quantised}
    path.write_text(json.dumps(written))
    return folder


def of_folder(settings: Settings, folder: Path, *asked: str) -> Config:
    return settings("model=local", f"model.path={folder}", *WITHOUT_MODEL, *asked)


def refusal(load: Callable[[Config], object], config: Config) -> str:
    with pytest.raises(UserError) as error:
        load(config)
    return str(error.value)


def loaded(config: Config) -> base_models.BaseModel:
    return base_models.load(
        config.model, torch.float32, Path(config.cache_dir), quantization=config.quantization
    )


BOTH = pytest.mark.parametrize("load", [loaded, estimate_memory], ids=["trial", "estimate"])


@BOTH
@pytest.mark.parametrize(
    ("quantised", "missing"), [(GPTQ, "optimum and gptqmodel"), (AWQ, "gptqmodel")], ids=str
)
def test_a_checkpoint_whose_kernels_are_missing_is_told_with_the_command_that_installs_them(
    quantised: dict[str, Any],
    missing: str,
    load: Callable[[Config], object],
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ugro.trial.model.quantization.find_spec", lambda _: None)
    folder = checkpoint(tmp_path, quantised)
    command = f"pip install {missing.replace(' and', '')}"
    assert refusal(load, of_folder(settings, folder)) == (
        f"model.path: {folder} is quantised with {quantised['quant_method']}, which needs "
        f"{missing}: {command}"
    )


@BOTH
def test_a_checkpoint_whose_method_cannot_be_trained_is_refused(
    load: Callable[[Config], object], settings: Settings, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path, {"quant_method": "fp8"})
    assert refusal(load, of_folder(settings, folder)) == (
        f"model.path: '{folder} (fp8)' given, allowed: weights that are not quantised, or "
        "quantised with gptq, awq, bitsandbytes"
    )


@BOTH
def test_a_quantised_checkpoint_is_not_quantised_again(
    load: Callable[[Config], object], settings: Settings, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path, GPTQ)
    assert refusal(load, of_folder(settings, folder, "quantization=bnb_nf4")) == (
        f"quantization.method: 'bnb_nf4' given, allowed: none, as {folder} is quantised already "
        "(gptq)"
    )


def test_a_checkpoint_that_bitsandbytes_quantised_trains_as_one_that_is_quantised_when_loaded(
    settings: Settings, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    plain, quantised = saved_model("llama", tmp_path / "plain"), tmp_path / "quantised"
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(plain, quantization_config=nf4)
    model.save_pretrained(quantised)
    byte_tokenizer().save_pretrained(quantised)
    configs = [
        of_folder(settings, plain, "quantization=bnb_nf4"),
        of_folder(settings, quantised),
    ]
    first, second = (estimate_memory(config) for config in configs)
    assert (first.weights, first.parameters) == (second.weights, second.parameters)
    losses = []
    for name, config in zip("ab", configs, strict=True):
        (tmp_path / name).mkdir()
        result = run_trial(config, tmp_path / name, channel())
        losses.append([result.metrics[key] for key in ("base_eval_loss", "eval_loss")])
        assert "bnb" in result.provenance["quantization"] or name == "b"
    base_models.evict_base_model()
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)


@pytest.mark.parametrize("method", ["bnb_nf4", "bnb_int8", "torchao_int8"])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            "lora.modules_to_save=[up_proj]",
            "lora.modules_to_save: 'up_proj' given, allowed: modules that are not quantised",
        ),
        (
            "lora.modules_to_save=[mlp]",
            "lora.modules_to_save: 'mlp' given, allowed: modules that are not quantised",
        ),
        (
            "lora.init_lora_weights=olora",
            "lora.init_lora_weights: 'olora' given, allowed: true, false, gaussian with a",
        ),
    ],
)
def test_an_adapter_that_trains_or_reads_quantised_weights_is_refused(
    method: str, asked: str, said: str, settings: Settings
) -> None:
    pytest.importorskip("torchao" if method.startswith("torchao") else "bitsandbytes")
    config = settings(*QUICK, f"quantization={method}", asked)

    def adapt(config: Config) -> None:
        with adapted(loaded(config), config.lora):
            pass

    assert refusal(adapt, config).startswith(said)
    assert refusal(estimate_memory, config).startswith(said)


def test_only_linear_layers_before_the_output_are_quantised(settings: Settings) -> None:
    pytest.importorskip("bitsandbytes")
    for labels in ((), ("no", "yes")):
        config = settings(*QUICK, "quantization=bnb_nf4")
        model = base_models.load(
            config.model,
            torch.float32,
            Path(),
            labels=labels,
            quantization=config.quantization,
        ).model
        kinds = {
            name.rpartition(".")[-1]: type(one).__name__ for name, one in model.named_modules()
        }
        assert is_quantised(model)
        assert kinds["q_proj"] == kinds["down_proj"] == "Linear4bit"
        assert kinds["score" if labels else "lm_head"] == "Linear"
        assert kinds["embed_tokens"] == "Embedding"


def test_the_bytes_of_a_weight_by_hand() -> None:
    weight = torch.empty(8, 64, device="meta")  # 512 weights, 8 outputs
    assert WeightStorage(bits=4, group_size=64, group_bits=32).nbytes(weight) == 256 + 8 * 4
    assert WeightStorage(bits=8, group_size=None, group_bits=32).nbytes(weight) == 512 + 8 * 4
    assert WeightStorage(bits=4, group_size=128, group_bits=20).nbytes(weight) == 256 + 10


def test_torchao_trains_and_is_dequantised_for_a_merge(settings: Settings, tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    config = settings(*QUICK, "quantization=torchao_int8", "training.learning_rate=1e-2")
    result = run_trial(config, tmp_path, channel())
    base_models.evict_base_model()
    assert result.metrics["eval_loss"] < result.metrics["base_eval_loss"] - 0.01
    into = tmp_path / "merged"
    into.mkdir()
    merged = export_merged(config, tmp_path, into, "fp32")
    assert merged.as_trained is not None
    assert merged.as_trained.difference < 1e-4
    assert not is_quantised(AutoModelForCausalLM.from_pretrained(into))


def test_the_weights_that_torchao_dequantises_and_keeps_are_counted(settings: Settings) -> None:
    pytest.importorskip("torchao")
    plain, quantised = (
        settings(*QUICK, f"quantization={method}") for method in ("none", "torchao_int8")
    )
    real = _kept_bytes(quantised) - _kept_bytes(plain)
    counted = estimate_memory(quantised).activations - estimate_memory(plain).activations
    assert 0.85 * counted < real < counted  # the first layer's q, k and v need no gradient


def _kept_bytes(config: Config) -> int:
    """Return the bytes that autograd keeps of a forward pass."""
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    ids = torch.arange(128).reshape(4, 32)
    with adapted(loaded(config), config.lora) as model:
        own = {one.untyped_storage()._cdata for one in (*model.parameters(), *model.buffers())}
        model.train()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
            model(input_ids=ids, use_cache=False)
    return sum(one.untyped_storage().nbytes() for at, one in kept.items() if at not in own)
