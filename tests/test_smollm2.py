"""The real model on real text: SmolLM2-135M on Python's language reference."""

from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from ugro.config import Config
from ugro.events.channel import TrialInterruptedError, channel
from ugro.trial.data.preparation import prepare
from ugro.trial.export.weights import export_adapter, export_merged
from ugro.trial.memory_estimate import estimate_memory
from ugro.trial.model import base_models
from ugro.trial.model.quantization import keep_layout
from ugro.trial.tasks.language_modeling import evaluate
from ugro.trial.trial import run_trial

from .trial.test_continuing import Told

pytestmark = pytest.mark.long
SHORT = (
    "data.block_size=64",
    "data.max_eval_examples=4",
    "training.batch_size=2",
    "training.eval_batch_size=4",
    "training.max_steps=6",
    "training.learning_rate=2e-3",
)


def test_a_few_steps_lower_the_loss_of_the_real_model(
    settings: Callable[..., Config], tmp_path: Path
) -> None:
    config = settings(*SHORT, "training.eval_steps=6")
    result = run_trial(config, tmp_path, channel())
    # An instruction-tuned 135M model knows English: far below ln(49152) = 10.8 nats.
    assert 2.0 < result.metrics["base_eval_loss"] < 5.0
    assert float(result) < result.metrics["base_eval_loss"] - 0.05
    assert result.metrics["tokens_seen"] == 6 * 2 * 64


def test_qlora_trains_resumes_exports_and_loads_in_plain_peft(
    settings: Callable[..., Config], tmp_path: Path, cache_dir: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    config = settings(*SHORT, "training.eval_steps=3", "quantization=bnb_nf4")
    for name in ("interrupted", "at_once", "adapter", "merged"):
        (tmp_path / name).mkdir()
    with pytest.raises(TrialInterruptedError):
        run_trial(config, tmp_path / "interrupted", Told(interrupt_after=4))
    continued = Told()
    result = run_trial(config, tmp_path / "interrupted", continued)
    assert continued.reports[0].step > 3
    at_once = run_trial(config, tmp_path / "at_once", channel())
    assert result.metrics["eval_loss"] == at_once.metrics["eval_loss"]
    assert result.metrics["eval_loss"] < result.metrics["base_eval_loss"] - 0.05
    assert at_once.metrics["startup_seconds"] < 10  # with the base model in memory
    plain_weights = estimate_memory(settings(*SHORT)).weights
    assert estimate_memory(config).weights < 0.35 * plain_weights

    base_models.evict_base_model()
    export_adapter(config, tmp_path / "at_once", tmp_path / "adapter", "fp32")
    [copy] = (one for one in (cache_dir / "models").iterdir() if one.is_dir())
    plain = AutoModelForCausalLM.from_pretrained(
        copy,
        dtype=torch.float32,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
        ),
    )
    keep_layout(plain)
    loaded = peft.PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
    part = prepare(config.data, AutoTokenizer.from_pretrained(copy), cache_dir).evaluation
    assert evaluate(loaded, part, 4).loss == pytest.approx(at_once.metrics["eval_loss"], abs=1e-5)
    del plain, loaded

    merged = export_merged(config, tmp_path / "at_once", tmp_path / "merged", "fp32")
    assert merged.as_trained is not None
    assert merged.as_trained.same_choice == 1
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert evaluate(whole, part, 4).loss == pytest.approx(at_once.metrics["eval_loss"], abs=1e-4)
