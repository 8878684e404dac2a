"""Reported losses equal those of transformers and PEFT, record by record."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ugro.config import Config
from ugro.events.channel import channel
from ugro.trial.data.preparation import prepare
from ugro.trial.model.base_models import base_model
from ugro.trial.model.random_llama import byte_tokenizer, random_llama
from ugro.trial.tasks.language_modeling import evaluate
from ugro.trial.trial import run_trial

from ..conftest import ROOT

CASES = ROOT / "tests" / "cases"


def plain_losses(model: Any, tokenizer: Any, records: list[dict[str, str]]) -> list[float]:
    """Sum each record's loss over completion and end token in float64, in separate passes."""
    losses = []
    for record in records:
        encoded = tokenizer(record["prompt"] + record["completion"], return_offsets_mapping=True)
        ids = torch.tensor([encoded["input_ids"] + [tokenizer.eos_token_id]])
        starts = [start for start, _ in encoded["offset_mapping"]]
        trained = torch.tensor([one >= len(record["prompt"]) for one in starts[1:]] + [True])
        with torch.no_grad():
            log_p = model(ids).logits[0, :-1].double().log_softmax(-1)
        losses.append(-log_p.gather(1, ids[0, 1:, None])[:, 0][trained].sum().item())
    return losses


def check_a_trained_adapter(config: Config, base: str, folder: Path) -> float:
    """Train, then load the saved adapter with PEFT; return the base model's loss."""
    result = run_trial(config, folder, channel())
    tokenizer = AutoTokenizer.from_pretrained(base)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    lines = Path(config.data.eval_files[0]).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    untrained = plain_losses(plain, tokenizer, records)
    trained = plain_losses(
        peft.PeftModel.from_pretrained(plain, folder / "adapter").eval(), tokenizer, records
    )
    cache = Path(config.cache_dir)
    ours = base_model(config.model, torch.float32, cache)
    data = prepare(config.data, ours.tokenizer, cache)
    found = evaluate(ours.model, data.evaluation, 4)
    tokens = int(found.targets.sum())
    assert found.losses.tolist() == pytest.approx(untrained, abs=2e-4)  # sums of a dozen tokens
    assert result.metrics["base_eval_loss"] == pytest.approx(sum(untrained) / tokens, abs=1e-5)
    assert result.metrics["eval_loss"] == pytest.approx(sum(trained) / tokens, abs=1e-5)
    assert result.metrics["eval_loss"] < result.metrics["base_eval_loss"]
    return result.metrics["base_eval_loss"]


def overrides(steps: int) -> tuple[str, ...]:
    return (
        "data=jsonl",
        f"data.train_files=[{CASES}/copy_train.jsonl]",
        f"data.eval_files=[{CASES}/copy_eval.jsonl]",
        f"training.max_steps={steps}",
        "training.eval_steps=0.5",
        "training.dtype=fp32",
    )


def test_a_saved_adapter_gives_the_trials_loss_in_plain_transformers(
    tmp_path: Path, settings: Callable[..., Config]
) -> None:
    config = settings("model=tiny", *overrides(4))
    assert config.model.random_llama is not None
    tokenizer = byte_tokenizer()
    random_llama(config.model.random_llama, tokenizer).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    check_a_trained_adapter(config, str(tmp_path / "base"), tmp_path)


@pytest.mark.long
def test_a_saved_adapter_of_smollm2_does_so_too_after_12_steps(
    tmp_path: Path, settings: Callable[..., Config], cache_dir: Path
) -> None:
    config = settings("data.block_size=128", *overrides(12), "training.batch_size=4")
    base_model(config.model, torch.float32, cache_dir)  # makes the copy in plain safetensors
    [base] = (one for one in (cache_dir / "models").iterdir() if one.is_dir())
    loss = check_a_trained_adapter(config, str(base), tmp_path)
    assert loss == pytest.approx(1.157767, abs=1e-5)  # tests/cases, in plain transformers
