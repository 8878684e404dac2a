"""A trial with task=dpo equals TRL's DPOTrainer step by step, and its reference is the base."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, set_seed

from ugro.config import Config
from ugro.events.channel import channel
from ugro.trial.data.rows import schedule
from ugro.trial.held_out import measure_test
from ugro.trial.model.base_models import evict_base_model
from ugro.trial.model.random_llama import byte_tokenizer
from ugro.trial.model.target_modules import lora_config
from ugro.trial.setup import set_up
from ugro.trial.tasks import preference
from ugro.trial.tasks.task import task_of
from ugro.trial.trial import run_trial

from .. import conftest
from ..reference_trainers import arguments_of, in_order, losses
from ..small_models import saved_tiny

trl = pytest.importorskip("trl")

STEPS = 6
BETA = 0.3
WORDS = ("basket", "kitten", "hammer", "napkin", "orange", "candle", "island", "garden")


def pairs(count: int) -> Iterator[dict[str, Any]]:
    """Words to copy; the rejected answer reverses them and is of another length."""
    for number in range(count):
        words = [WORDS[(number + step) % len(WORDS)] for step in range(1, 2 + number % 3)]
        wrong = [*reversed(words), WORDS[number % 5]]
        yield {
            "prompt": f"Copy {number}: {' '.join(words)}\n",
            "chosen": " ".join(words),
            "rejected": " ".join(wrong),
        }


def conversations(count: int) -> Iterator[dict[str, Any]]:
    for pair in pairs(count):
        yield {
            "prompt": [{"role": "user", "content": pair["prompt"]}],
            "chosen": [{"role": "assistant", "content": pair["chosen"]}],
            "rejected": [{"role": "assistant", "content": pair["rejected"]}],
        }


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., Config]) -> Path:
    """A random Llama whose chat template writes nothing after an answer's end token."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    shape, folder = settings("model=tiny").model.random_llama, tmp_path_factory.mktemp("model")
    return saved_tiny(shape, folder, tokenizer)


@pytest.fixture
def trained(
    model_folder: Path, tmp_path: Path, settings: Callable[..., Config]
) -> Callable[..., tuple[Config, list[dict[str, Any]]]]:
    """Run a trial on records; return its configuration and reports."""

    def run(records: list[dict[str, Any]], *given: str) -> tuple[Config, list[dict[str, Any]]]:
        for part, rows in (("train", records), ("eval", records[:7]), ("test", records[7:12])):
            lines = "".join(f"{json.dumps(row)}\n" for row in rows)
            (tmp_path / f"{part}.jsonl").write_text(lines)
        config = settings(
            "task=dpo",
            f"task.beta={BETA}",
            "model=local",
            f"model.path={model_folder}",
            "data=jsonl",
            *(f"data.{part}_files=[{tmp_path}/{part}.jsonl]" for part in ("train", "eval")),
            "data.test_fraction=0",
            "data.packing=none",
            "data.block_size=400",
            "training.batch_size=2",
            "training.gradient_accumulation_steps=2",
            f"training.max_steps={STEPS}",
            "training.eval_steps=1",
            "training.learning_rate=1e-2",
            "training.dtype=fp32",
            "lora.r=8",
            *given,
        )
        run_trial(config, tmp_path, channel())
        return config, conftest.reports(tmp_path)

    return run


def trl_trainer(config: Config, folder: Path, rows: list[dict[str, Any]]) -> Any:
    """Return TRL's trainer with the trial's adapter, seed and settings."""
    path = str(config.model.path)
    base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    set_seed(config.seed)
    model = peft.get_peft_model(base, lora_config(config.lora, base))
    arguments = trl.DPOConfig(
        **arguments_of(config, folder),
        beta=config.task.beta,
        max_length=config.data.block_size,
        gradient_checkpointing=False,
        disable_dropout=False,
    )
    return in_order(trl.DPOTrainer)(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:7]),
        processing_class=AutoTokenizer.from_pretrained(path),
    )


@pytest.mark.parametrize("kind", [pairs, conversations])
def test_losses_and_rewards_equal_those_of_trl_step_by_step(
    kind: Callable[[int], Iterator[dict[str, Any]]],
    trained: Callable[..., tuple[Config, list[dict[str, Any]]]],
    tmp_path: Path,
) -> None:
    rows = list(kind(40))
    config, reports = trained(rows)
    trainer = trl_trainer(config, tmp_path / "trl", rows)
    _, data = set_up(config)
    layout = data.train.layout
    of_rows = layout.examples[layout.rows[:-1]] // 2
    trainer.order = data.train.examples.documents[2 * of_rows][
        schedule(config, data.train).order
    ].tolist()
    kept = [number for number in range(40) if number >= 7]  # the first seven are held out
    trainer.order = [kept[number] for number in trainer.order]
    assert [one["train_loss"] for one in reports[1:]] == pytest.approx(losses(trainer), abs=1e-4)
    found = trainer.evaluate()
    assert reports[-1]["eval_loss"] == pytest.approx(found["eval_loss"], abs=1e-4)
    margin, accuracy = found["eval_rewards/margins"], found["eval_rewards/accuracies"]
    assert reports[-1]["eval_reward_margin"] == pytest.approx(margin, abs=1e-4)
    assert reports[-1]["eval_reward_accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert reports[-1]["eval_loss"] < reports[0]["eval_loss"]  # it learns


def test_the_base_model_has_no_preference(
    trained: Callable[..., tuple[Config, list[dict[str, Any]]]],
) -> None:
    _, reports = trained(list(pairs(30)), "training.max_steps=1")
    assert reports[0]["eval_loss"] == pytest.approx(math.log(2), abs=1e-12)
    assert (reports[0]["eval_reward_accuracy"], reports[0]["eval_reward_margin"]) == (0.5, 0)


@pytest.mark.parametrize("given", ["lora.init_lora_weights=pissa", "lora.bias=all"])
def test_the_reference_is_the_untouched_base_model(
    given: str, trained: Callable[..., tuple[Config, list[dict[str, Any]]]], tmp_path: Path
) -> None:
    """PiSSA and biases change the base model under the adapter: switching it off is not enough."""
    config, reports = trained(list(pairs(30)), given, "training.max_steps=2")
    evict_base_model()
    best = min(reports[1:], key=lambda one: one["eval_loss"])
    base, data = set_up(config)
    task = task_of(config, base)
    task.evaluate(base.model, data.evaluation, 3)
    model = peft.PeftModel.from_pretrained(base.model, tmp_path / "adapter")
    again = task.evaluate(model, data.evaluation, 3)
    assert again.loss == pytest.approx(best["eval_loss"], abs=1e-5)
    evict_base_model()


def test_packed_pairs_have_the_losses_of_pairs_alone(
    trained: Callable[..., tuple[Config, list[dict[str, Any]]]],
) -> None:
    config, _ = trained(list(pairs(30)), "data.packing=bfd", "training.max_steps=1")
    base, data = set_up(config)
    assert len(data.train.layout) < data.train.summary.examples  # several pairs share a row
    task = task_of(config, base)
    rows = np.arange(len(data.train.layout))
    packed = task.targets(data.train, rows)
    assert packed is not None
    config.data.packing = type(config.data.packing).none
    _, alone = set_up(config)
    single = task.targets(alone.train, np.arange(len(alone.train.layout)))
    assert single is not None
    by_text = dict(zip(alone.train.layout.examples.tolist(), single.tolist(), strict=True))
    wanted = [by_text[example] for example in data.train.layout.examples.tolist()]
    assert packed.tolist() == pytest.approx(wanted, abs=1e-3)  # sums over some 30 tokens


def test_a_second_trial_needs_no_reference_pass(
    trained: Callable[..., tuple[Config, list[dict[str, Any]]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained(list(pairs(30)), "training.max_steps=2")
    asked: list[int] = []
    monkeypatch.setattr(preference, "_fill", _counting(asked, preference._fill))
    trained(list(pairs(30)), "training.max_steps=2", "lora.r=4")
    assert asked[0] == asked[1] == 0  # evaluation and training part of the base model


def _counting(asked: list[int], fill: Callable[..., None]) -> Callable[..., None]:
    def counted(known: Any, model: Any, part: Any, chosen: Any, batch_size: int) -> None:
        asked.append(len(chosen))
        fill(known, model, part, chosen, batch_size)

    return counted


def test_the_test_part_is_measured_with_rewards(
    trained: Callable[..., tuple[Config, list[dict[str, Any]]]], tmp_path: Path
) -> None:
    config, _ = trained(list(pairs(40)), f"data.test_files=[{tmp_path}/test.jsonl]")
    found = measure_test(config, tmp_path, channel()).metrics
    assert found["base_test_loss"] == pytest.approx(math.log(2), abs=1e-12)
    assert found["test_gain"] == pytest.approx(math.log(2) - found["test_loss"], abs=1e-9)
    assert found["test_reward_accuracy_gain"] == found["test_reward_accuracy"] - 0.5
    assert found["test_tokens"] == found["test_documents"] == 5
    evict_base_model()
