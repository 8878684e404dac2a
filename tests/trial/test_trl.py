"""TRL's SFTTrainer and a trial have the same losses at each step."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, set_seed

from ugro.config import Config
from ugro.events.channel import channel
from ugro.trial.data.preparation import prepare
from ugro.trial.data.rows import Rows, schedule
from ugro.trial.model.random_llama import byte_tokenizer
from ugro.trial.model.target_modules import lora_config
from ugro.trial.trial import run_trial

from .conftest import reports
from .reference_trainers import arguments_of, in_order, losses
from .small_models import saved_tiny

trl = pytest.importorskip("trl")

STEPS = 12
WORDS = ("basket", "kitten", "hammer", "napkin", "orange", "candle", "island", "garden")


def records(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        chosen = [WORDS[(number * step) % len(WORDS)] for step in range(1, 2 + number % 5)]
        yield {"prompt": f"Words: {' '.join(chosen)}\nCopy:", "completion": " " + " ".join(chosen)}


def chats(count: int) -> Iterator[dict[str, Any]]:
    for record in records(count):
        yield {
            "messages": [
                {"role": "user", "content": record["prompt"]},
                {"role": "assistant", "content": record["completion"].strip()},
                {"role": "user", "content": "Once more."},
                {"role": "assistant", "content": record["completion"].strip().upper()},
            ]
        }


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., Config]) -> Path:
    """A random Llama with a byte tokenizer and TRL's own ChatML training template."""
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n"
        "{% if message.role == 'assistant' %}"
        "{% generation %}{{ message.content }}<|im_end|>\n{% endgeneration %}"
        "{% else %}{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    shape, folder = settings("model=tiny").model.random_llama, tmp_path_factory.mktemp("model")
    return saved_tiny(shape, folder, tokenizer)


def trial_losses(config: Config, folder: Path) -> list[float]:
    run_trial(config, folder, channel())
    return [one["train_loss"] for one in reports(folder)[1:]]


def trl_losses(config: Config, folder: Path, rows: list[dict[str, Any]], chat: bool) -> list[float]:
    """Train in TRL on the trial's records with its adapter, seed and order."""
    path = str(config.model.path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    set_seed(config.seed)
    model = peft.get_peft_model(base, lora_config(config.lora, base))
    arguments = trl.SFTConfig(
        **arguments_of(config, folder),
        packing=True,
        packing_strategy="bfd",
        max_length=config.data.block_size,
        assistant_only_loss=chat,
        gradient_checkpointing=False,
        router_aux_loss_coef=0.0,
    )
    trainer = in_order(trl.SFTTrainer)(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    data = prepare(config.data, tokenizer, Path(config.cache_dir))
    ours = [
        row.input_ids.tolist()
        for row in map(Rows(data.train).__getitem__, range(len(data.train.layout)))
    ]
    theirs = [one["input_ids"] for one in trainer.train_dataset]
    assert sorted(ours) == sorted(theirs)  # the same tokens in the same rows
    trainer.order = [theirs.index(ours[row]) for row in schedule(config, data.train).order]
    return losses(trainer)


@pytest.mark.parametrize("chat", [False, True], ids=["prompt and completion", "chat"])
def test_losses_equal_those_of_trl_step_by_step(
    chat: bool, model_folder: Path, tmp_path: Path, settings: Callable[..., Config], cache_dir: Path
) -> None:
    rows = list(chats(60) if chat else records(60))
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    (tmp_path / "eval.jsonl").write_text(json.dumps({"prompt": "a", "completion": "b"}) + "\n")
    config = settings(
        "model=local",
        f"model.path={model_folder}",
        "data=jsonl",
        f"data.train_files=[{tmp_path}/train.jsonl]",
        f"data.eval_files=[{tmp_path}/eval.jsonl]",
        "data.test_fraction=0",
        "data.block_size=400",
        "training.batch_size=2",
        "training.gradient_accumulation_steps=2",
        f"training.max_steps={STEPS}",
        "training.eval_steps=1",
        "training.learning_rate=1e-3",
        "training.dtype=fp32",
        "lora.r=8",
    )
    ours = trial_losses(config, tmp_path)
    theirs = trl_losses(config, tmp_path / "trl", rows, chat)
    assert len(ours) == len(theirs) == STEPS
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert ours[-1] < ours[0]  # it learns
