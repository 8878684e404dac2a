"""A trial with task=classification equals transformers' Trainer step by step."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from datasets import Dataset
from sklearn.metrics import accuracy_score, f1_score
from torch.nn import functional
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    set_seed,
)

from ugro.config import Config
from ugro.errors import UserError
from ugro.events.channel import channel
from ugro.trial.data.rows import schedule
from ugro.trial.held_out import measure_test
from ugro.trial.model.base_models import evict_base_model, load
from ugro.trial.model.target_modules import lora_config
from ugro.trial.setup import set_up
from ugro.trial.trial import run_trial

from ..conftest import reports
from ..reference_trainers import arguments_of, in_order, losses
from ..small_models import saved_tiny

STEPS = 6
LABELS = ("negative", "neutral", "positive")
WORDS = {"negative": "awful", "neutral": "plain", "positive": "lovely"}


def reviews(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        label = LABELS[number * 7 % 3]
        yield {"text": f"Number {number} is {'so ' * (number % 4)}{WORDS[label]}", "label": label}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., Config]) -> Path:
    return saved_tiny(settings("model=tiny").model.random_llama, tmp_path_factory.mktemp("model"))


@pytest.fixture
def configured(
    model_folder: Path, tmp_path: Path, settings: Callable[..., Config]
) -> Callable[..., Config]:
    """Write records to files; return the configuration of a trial on them."""

    def make(records: list[dict[str, Any]], *given: str) -> Config:
        for part, rows in (("train", records), ("eval", records[:9]), ("test", records[9:18])):
            lines = "".join(f"{json.dumps(row)}\n" for row in rows)
            (tmp_path / f"{part}.jsonl").write_text(lines)
        return settings(
            "task=classification",
            "model=local",
            f"model.path={model_folder}",
            "data=jsonl",
            *(f"data.{part}_files=[{tmp_path}/{part}.jsonl]" for part in ("train", "eval", "test")),
            "data.block_size=100",
            "training.batch_size=3",
            "training.gradient_accumulation_steps=2",
            f"training.max_steps={STEPS}",
            "training.eval_steps=1",
            "training.learning_rate=1e-2",
            "training.dtype=fp32",
            "lora.r=8",
            *given,
        )

    return make


def reports_of(config: Config, folder: Path) -> list[dict[str, float]]:
    run_trial(config, folder, channel())
    return reports(folder)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_losses_equal_those_of_transformers_step_by_step(
    smoothing: float, configured: Callable[..., Config], tmp_path: Path
) -> None:
    """A step has one forward pass: transformers 5.23 sums the mean losses of several.

    With two, its losses and gradients are twice the mean of the step:
    https://github.com/huggingface/transformers/issues/47688
    """
    rows = list(reviews(60))
    single = ("training.batch_size=6", "training.gradient_accumulation_steps=1")
    config = configured(rows, *single, f"training.label_smoothing={smoothing}")
    ours = reports_of(config, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(str(config.model.path))
    base = load(config.model, torch.float32, tmp_path, labels=LABELS).model
    base.save_pretrained(tmp_path / "classifier")  # with the same new head
    plain: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "classifier", dtype=torch.float32
    )
    set_seed(config.seed)
    model = peft.get_peft_model(plain, lora_config(config.lora, plain))

    def tokenised(some: list[dict[str, Any]]) -> Dataset:
        return Dataset.from_list(
            [{**tokenizer(one["text"]), "labels": LABELS.index(one["label"])} for one in some]
        )

    trainer = in_order(Trainer)(
        model=model,
        args=TrainingArguments(**arguments_of(config, tmp_path / "transformers")),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=tokenised(rows[18:]),
        eval_dataset=tokenised(rows[:9]),
        processing_class=tokenizer,
    )
    _, data = set_up(config)
    layout = data.train.layout
    documents = data.train.examples.documents[layout.examples]
    trainer.order = documents[schedule(config, data.train).order].tolist()
    assert [one["train_loss"] for one in ours[1:]] == pytest.approx(losses(trainer), abs=1e-4)
    found = trainer.predict(tokenised(rows[:9]))
    expected, chosen = found.label_ids, np.argmax(found.predictions, axis=-1)
    unsmoothed = functional.cross_entropy(*map(torch.tensor, (found.predictions, expected)))
    assert ours[-1]["eval_loss"] == pytest.approx(unsmoothed.item(), abs=1e-4)
    assert ours[-1]["eval_accuracy"] == pytest.approx(accuracy_score(expected, chosen))
    wanted = f1_score(expected, chosen, average="macro", zero_division=0)
    assert ours[-1]["eval_f1"] == pytest.approx(wanted)
    assert ours[-1]["eval_loss"] < ours[0]["eval_loss"]  # it learns


def test_losses_do_not_depend_on_how_a_step_is_cut(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    rows = list(reviews(24))  # six of which are trained on, all in each step
    found = []
    for size, passes in ((6, 1), (3, 2), (2, 3)):
        given = (f"training.batch_size={size}", f"training.gradient_accumulation_steps={passes}")
        folder = tmp_path / str(size)
        folder.mkdir()
        config = configured(rows, *given)
        found.append([one["train_loss"] for one in reports_of(config, folder)[1:]])
    assert found[1] == pytest.approx(found[0], abs=1e-5)
    assert found[2] == pytest.approx(found[0], abs=1e-5)


def test_the_adapter_holds_the_head_and_plain_peft_gives_the_trials_loss(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    config = configured(list(reviews(60)))
    best = min(reports_of(config, tmp_path)[1:], key=lambda one: one["eval_loss"])
    tokenizer = AutoTokenizer.from_pretrained(str(config.model.path))
    plain = AutoModelForSequenceClassification.from_pretrained(
        str(config.model.path), num_labels=3, dtype=torch.float32
    )  # with another new head
    plain.config.pad_token_id = tokenizer.pad_token_id
    model = peft.PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
    alone = []
    for one in reviews(9):
        with torch.no_grad():
            logits = model(**tokenizer(one["text"], return_tensors="pt")).logits
        target = torch.tensor([LABELS.index(one["label"])])
        alone.append(float(torch.nn.functional.cross_entropy(logits, target)))
    assert np.mean(alone) == pytest.approx(best["eval_loss"], abs=1e-5)


def test_the_test_part_has_an_accuracy_with_an_interval(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    config = configured(list(reviews(60)))
    reports_of(config, tmp_path)
    found = measure_test(config, tmp_path, channel()).metrics
    gain = found["test_accuracy"] - found["base_test_accuracy"]
    assert found["test_accuracy_gain"] == pytest.approx(gain)
    assert found["test_accuracy_gain_stderr"] > 0
    assert "test_bits_per_byte" not in found
    evict_base_model()


@pytest.mark.parametrize("given", ["pissa_niter_4", "olora", "orthogonal"])
def test_the_head_is_no_target_of_an_initialisation(
    given: str, configured: Callable[..., Config], tmp_path: Path
) -> None:
    config = configured(list(reviews(40)), f"lora.init_lora_weights={given}", "lora.r=8")
    assert len(reports_of(config, tmp_path)) == STEPS + 1
    evict_base_model()


def test_a_checkpoint_with_another_head_gets_a_new_one(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    config = configured(list(reviews(40)))
    of_two = load(config.model, torch.float32, tmp_path, labels=("no", "yes")).model
    of_two.save_pretrained(tmp_path / "two")
    AutoTokenizer.from_pretrained(str(config.model.path)).save_pretrained(tmp_path / "two")
    config.model.path = str(tmp_path / "two")
    assert labels_in(config) == LABELS


def labels_in(config: Config) -> tuple[str, ...]:
    base, data = set_up(config)
    assert base.labels == data.labels
    assert tuple(base.model.config.id2label.values()) == data.labels
    return data.labels


def test_labels_are_those_of_the_data_in_order(configured: Callable[..., Config]) -> None:
    assert labels_in(configured(list(reviews(30)))) == LABELS
    numbered = [{"text": f"text {n}", "label": n % 11} for n in range(60)]
    assert labels_in(configured(numbered)) == tuple(map(str, range(11)))


def test_configured_labels_keep_their_order(configured: Callable[..., Config]) -> None:
    given = "task.labels=[positive,neutral,negative,unknown]"
    wanted = ("positive", "neutral", "negative", "unknown")
    assert labels_in(configured(list(reviews(30)), given)) == wanted


@pytest.mark.parametrize(
    ("record", "given", "message"),
    [
        ({"text": "a", "label": 1.5}, [], "label: 1.5 given, allowed: text or a whole number"),
        ({"text": "a"}, [], r"\['text'\] given, allowed: {text, label}"),
        ({"text": " ", "label": "a"}, [], "allowed: text that is not blank"),
        ({"text": "a", "label": "odd"}, ["task.labels=[negative,neutral,positive]"], "'odd' given"),
    ],
)
def test_a_text_that_cannot_be_classified_is_one_line(
    record: dict[str, Any], given: list[str], message: str, configured: Callable[..., Config]
) -> None:
    config = configured([*reviews(30), record], *given)
    with pytest.raises(UserError, match=message) as refused:
        set_up(config)
    assert len(str(refused.value).splitlines()) == 1


def test_a_label_that_is_never_trained_on_is_refused(configured: Callable[..., Config]) -> None:
    records = [{"text": "held out", "label": "new"}, *reviews(40)]
    with pytest.raises(UserError, match="label of a held-out text: 'new' given"):
        set_up(configured(records))


def test_a_single_label_is_refused(configured: Callable[..., Config]) -> None:
    records = [{"text": f"text {n}", "label": "same"} for n in range(40)]
    with pytest.raises(UserError, match="'same' given, allowed: two labels or more"):
        set_up(configured(records))
