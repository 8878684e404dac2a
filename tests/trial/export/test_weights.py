"""What is exported gives the logits of the trial's adapter on its base model."""

import json
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from ugro.config import Config
from ugro.errors import UserError
from ugro.paths import ADAPTER
from ugro.trial.export.weights import Agreement, export_adapter, export_merged, logits, merge
from ugro.trial.model import base_models
from ugro.trial.model.random_llama import END, byte_tokenizer

from ...conftest import QUICK
from ..conftest import Run
from ..small_models import POSITIONS, saved_model, small_model

IDS = torch.arange(2 * POSITIONS).reshape(2, POSITIONS) * 7 % 256
LARGE = "training.learning_rate=1e-2"  # so that the adapter matters
# The kind of base model, and the adapter.
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "plain": ("llama", []),
    "rslora, dora": ("llama", ["lora.use_rslora=true", "lora.use_dora=true"]),
    "pissa": ("llama", ["lora.init_lora_weights=pissa"]),
    "biases": ("qwen2", ["lora.bias=all"]),
    "output": ("qwen2", ["lora.modules_to_save=[lm_head]", "lora.bias=lora_only"]),
    "tied embedding saved": ("llama_tied", ["lora.modules_to_save=[embed_tokens]"]),
    "tied embedding": ("llama_tied", ["lora.target_modules=[embed_tokens,q_proj]"]),
    "tied output": ("llama_tied", ["lora.target_modules=[lm_head]"]),
    "experts": ("mixtral", ["lora.dropout=0"]),
    "conv1d": ("gpt2", []),
}
Trial = tuple[Config, Path]


@pytest.fixture
def trained(run: Run, settings: Callable[..., Config], tmp_path: Path) -> Callable[..., Trial]:
    """``trained("qwen2", "lora.r=4", ...)``: configuration and folder of a trial."""

    def _trained(kind: str, *overrides: str) -> Trial:
        base = f"model.path={saved_model(kind, tmp_path / kind)}"
        given = ("model=local", base, LARGE, *overrides)
        return settings(*QUICK, *given), run(*given)[1]

    return _trained


def of_base(config: Config) -> Tensor:
    return logits(AutoModelForCausalLM.from_pretrained(str(config.model.path)), IDS)


def of_adapter(config: Config, adapter: Path) -> Tensor:
    base = AutoModelForCausalLM.from_pretrained(str(config.model.path))
    return logits(peft.PeftModel.from_pretrained(base, adapter), IDS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_merged_model_gives_the_logits_of_adapter_and_base(
    variant: str, trained: Callable[..., Trial], tmp_path: Path
) -> None:
    kind, overrides = VARIANTS[variant]
    config, folder = trained(kind, *overrides)
    into = tmp_path / "merged"
    into.mkdir()
    agreement = export_merged(config, folder, into, "fp32").agreement
    expected = of_adapter(config, folder / ADAPTER)
    assert (expected - of_base(config)).abs().max() > 0.01
    found = logits(AutoModelForCausalLM.from_pretrained(into), IDS)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert agreement.difference < 1e-4
    assert agreement.same_choice == 1


@pytest.mark.parametrize(("dtype", "most"), [("bf16", 0.05), ("fp16", 0.005)])
def test_the_difference_of_half_precision_is_measured(
    dtype: str, most: float, trained: Callable[..., Trial], tmp_path: Path
) -> None:
    config, folder = trained("llama")
    merged = export_merged(config, folder, tmp_path, dtype)
    probe, agreement = merged.probe, merged.agreement
    kept = AutoModelForCausalLM.from_pretrained(tmp_path).dtype
    assert kept is {"bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    written = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    apart = (logits(written, probe.ids) - probe.logits).abs().max().item()
    assert agreement.difference == pytest.approx(apart)
    assert 1e-5 < apart < most


def test_merging_an_adapter_of_a_tied_embedding_as_peft_does_is_another_model() -> None:
    """Why the two are separated; if this fails, PEFT does it itself."""
    adapter = peft.LoraConfig(target_modules=["embed_tokens"], init_lora_weights=False)
    model = peft.get_peft_model(small_model("llama_tied"), adapter)
    expected = logits(model, IDS)
    assert (logits(model.merge_and_unload(), IDS) - expected).abs().max() > 0.01


def test_a_tied_model_stays_tied_if_its_embedding_is_not_adapted() -> None:
    adapter = peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    model = merge(peft.get_peft_model(small_model("llama_tied"), adapter))
    assert model.config.tie_word_embeddings
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize(
    "overrides", [[], ["lora.use_dora=true"], ["lora.init_lora_weights=olora"]]
)
def test_an_adapter_is_loaded_by_peft_onto_the_base_that_it_names(
    overrides: list[str], trained: Callable[..., Trial], tmp_path: Path
) -> None:
    config, folder = trained("llama", *overrides)
    into = tmp_path / "adapter"
    into.mkdir()
    export_adapter(config, folder, into, "fp32")
    loaded = peft.AutoPeftModelForCausalLM.from_pretrained(into)
    assert torch.equal(logits(loaded, IDS), of_adapter(config, folder / ADAPTER))
    assert (
        AutoTokenizer.from_pretrained(into)("Déjà vu")["input_ids"]
        == (byte_tokenizer()("Déjà vu")["input_ids"])
    )
    for file in into.iterdir():  # as the trial's folder, besides the base model's name
        file.unlink()
    export_adapter(config, folder, into, "bf16")
    apart = logits(peft.AutoPeftModelForCausalLM.from_pretrained(into), IDS)
    assert 0 < (apart - of_adapter(config, folder / ADAPTER)).abs().max() < 0.05


def test_a_random_base_has_no_name_to_load(
    run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    _, folder = run()
    export_adapter(settings(*QUICK), folder, tmp_path, "fp32")
    assert peft.PeftConfig.from_pretrained(str(tmp_path)).base_model_name_or_path is None


def test_an_export_ends_its_answers_where_the_template_ends_a_turn(
    run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    """As of a base model that is trained with another model's chat template."""
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    model = small_model("llama")
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    template = tmp_path / "template.jinja"
    template.write_text(str(tokenizer.chat_template).replace(END, "<|im_end|>"))
    given = ("model=local", f"model.path={tmp_path / 'base'}", f"data.chat_template={template}")
    _, folder = run(*given)
    into = tmp_path / "merged"
    into.mkdir()
    export_merged(settings(*QUICK, *given), folder, into, "bf16")
    ends = tokenizer.convert_tokens_to_ids([END, "<|im_end|>"])
    of_llama = 2  # in the base model's generation config
    assert GenerationConfig.from_pretrained(into).eos_token_id == sorted([of_llama, *ends])
    asked = AutoTokenizer.from_pretrained(into).apply_chat_template(
        [{"role": "user", "content": "x"}], tokenize=False
    )
    assert str(asked).count("<|im_end|>") == 1


def test_a_generation_config_that_transformers_does_not_save_is_repaired(
    run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    """Llama 2's on the hub: a temperature without do_sample."""
    base = saved_model("llama", tmp_path / "base")
    (base / "generation_config.json").write_text(json.dumps({"temperature": 0.9, "top_p": 0.6}))
    given = ("model=local", f"model.path={base}")
    _, folder = run(*given)
    into = tmp_path / "merged"
    into.mkdir()
    export_merged(settings(*QUICK, *given), folder, into, "bf16")
    written = GenerationConfig.from_pretrained(into)
    assert (written.temperature, written.do_sample) == (0.9, True)


def test_a_full_disk_is_told_before_anything_is_written(
    run: Run, settings: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = run()
    usage = type("Usage", (), {"free": 2**16})
    monkeypatch.setattr("ugro.trial.export.weights.shutil.disk_usage", lambda _: usage)
    needed = r"^to: 0.53 MiB are needed, the disk of .* has 0.06 MiB free$"
    with pytest.raises(UserError, match=needed):
        export_merged(settings(*QUICK), folder, tmp_path, "fp32")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("difference", "largest", "dtype", "refused"),
    [
        (0.9e-4, 0.5, "fp32", False),
        (1.1e-4, 0.5, "fp32", True),
        (1.1e-3, 20.0, "fp32", False),
        (float("nan"), 20.0, "fp32", True),
        (0.5, 20.0, "bf16", False),
    ],
)
def test_float32_explains_only_a_small_difference(
    difference: float, largest: float, dtype: str, refused: bool
) -> None:
    agreement = Agreement(difference, largest, 1.0)
    if not refused:
        agreement.check(dtype)
        return
    with pytest.raises(UserError, match=r"^the exported model's logits differ by "):
        agreement.check(dtype)


def test_the_tokenizer_of_a_trial_is_loaded_without_its_model(
    settings: Callable[..., Config], tmp_path: Path
) -> None:
    base = saved_model("llama", tmp_path)
    (base / "model.safetensors").unlink()
    config = settings("model=local", f"model.path={base}")
    assert base_models.load_tokenizer(config.model, tmp_path).eos_token == END
