"""Searches of the other tasks, from the command line to report, export and ``ugro try``."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tests.cli.test_export import card_of, run_snippet
from ugro.cli.export import main as export
from ugro.cli.rerun import configuration_of
from ugro.cli.try_prompts import main as ask
from ugro.errors import UserError
from ugro.trial.export.weights import logits
from ugro.trial.model import base_models

from ..conftest import QUICK, ROOT
from ..forked import completed
from .studies import IN_PROCESS, preference_pairs, reviews, table, write_rows

SEARCHED = (
    "study.name=mine",
    "lora.r=8",
    "training.learning_rate=1e-2,3e-2",
    "study.analysis=true",
)
IDS = torch.arange(64).reshape(2, 32) * 7 % 256
LABELS = ("bad", "good")


def sweep(folder: Path, rows: Iterable[Mapping[str, object]], *given: str) -> Path:
    """Run two trials in a folder; return the study's folder."""
    folder.mkdir(exist_ok=True)
    command = [*QUICK, *write_rows(folder, rows), IN_PROCESS, *SEARCHED, *given]
    done = completed(ROOT / "train.py", ["-m", *command], folder, os.environ, seconds=280)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder / "multirun" / "mine"


def summary(study: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((study / "analysis" / "summary.json").read_text())
    return found


def test_preferences_are_searched_by_reward_accuracy(tmp_path: Path) -> None:
    study = sweep(tmp_path, preference_pairs(), "task=dpo", "objectives=reward_accuracy")
    for row in table(study):
        assert row["state"] == "COMPLETE"
        assert float(row["value"]) == float(row["eval_reward_accuracy"])
        assert float(row["eval_reward_margin"]) != 0
        assert "eval_perplexity" not in row
        assert "eval_bits_per_byte" not in row
    test = summary(study)["test"]
    assert isinstance(test, dict)
    assert test["base_model"]["loss"] == pytest.approx(0.693147, abs=1e-6)
    assert test["base_model"]["bits_per_byte"] is None
    names = {metric["name"] for metric in test["metrics"]}
    assert names == {"reward_accuracy", "reward_margin"}
    report = (study / "analysis" / "report.html").read_text()
    assert "reward_accuracy over the untrained base model, on the test part" in report


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of classifiers, in which it was run."""
    folder = tmp_path_factory.mktemp("classified")
    sweep(
        folder,
        reviews(),
        "task=classification",
        "objectives=accuracy",
        "data.columns={text: review, label: stars}",
    )
    return folder


def best_of(study: Path) -> Path:
    best = max(table(study), key=lambda row: float(row["value"]))
    return study / "trials" / f"{int(best['number']):04d}"


def expected(study: Path, ids: torch.Tensor) -> torch.Tensor:
    """The logits of the best trial's adapter on its base model with a head of its own."""
    trial = best_of(study)
    model = configuration_of(trial).model
    base = base_models.load(model, torch.float32, study, torch.device("cpu"), LABELS)
    return logits(peft.PeftModel.from_pretrained(base.model, trial / "adapter"), ids)


def test_a_classifier_is_searched_by_accuracy(classified: Path) -> None:
    study = classified / "multirun" / "mine"
    for row in table(study):
        assert float(row["value"]) == float(row["eval_accuracy"])
        assert 0 <= float(row["eval_f1"]) <= 1
        assert float(row["base_eval_accuracy"]) <= 1
    test = summary(study)["test"]
    assert isinstance(test, dict)
    assert {metric["name"] for metric in test["metrics"]} == {"accuracy", "f1"}


def test_a_merged_classifier_is_loaded_as_its_card_says(
    classified: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(classified)
    export(["study.name=mine", "to=merged", "format=merged", "dtype=fp32"])
    assert "the most likely label is the same at 100% of the texts" in capsys.readouterr().out
    model = AutoModelForSequenceClassification.from_pretrained("merged")
    assert model.config.id2label == dict(enumerate(LABELS))
    wanted = expected(classified / "multirun" / "mine", IDS)
    torch.testing.assert_close(logits(model, IDS), wanted, atol=1e-4, rtol=0)
    front, _ = card_of(Path("merged"))
    assert front["pipeline_tag"] == "text-classification"
    assert run_snippet(Path("merged"), classified).split()[0] in LABELS


def test_an_exported_adapter_has_the_head(
    classified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(classified)
    export(["study.name=mine", "to=adapter", "format=adapter"])
    label, probability = run_snippet(Path("adapter"), classified).split()
    text = "I would buy it again."
    tokenizer = base_models.load_tokenizer(
        configuration_of(best_of(classified / "multirun" / "mine")).model, classified
    )
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    wanted = expected(classified / "multirun" / "mine", ids).softmax(-1)[0]
    assert label == LABELS[int(wanted.argmax())]
    assert float(probability) == pytest.approx(float(wanted.max()), abs=1e-5)


def test_a_classifier_is_tried_on_texts_and_has_no_gguf(
    classified: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(classified)
    ask(["study.name=mine", "no. 3: lovely", "no. 5: awful"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "prompt: no. 3: lovely",
        "base model: no label: its classifier is untrained",
    ]
    assert any(f": {label} (" in lines[2] for label in LABELS)
    converter = ROOT / "tests" / "trial" / "export" / "convert_hf_to_gguf.py"
    with pytest.raises(UserError, match="'gguf' given, allowed: adapter or merged"):
        export(["study.name=mine", "to=file", "format=gguf", f"converter={converter}"])
