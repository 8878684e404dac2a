"""Metrics of a trial: their values, the checkpoint that they select, and their files."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from scipy.stats import sem

from ugro.config import Config
from ugro.errors import MetricError, UserError
from ugro.events.channel import Answer, StandaloneChannel, TrialInterruptedError, channel
from ugro.events.trial_report import Report, TrialResult
from ugro.trial.model.random_llama import byte_tokenizer
from ugro.trial.setup import set_up
from ugro.trial.trial import run_trial

from ..conftest import reports

WORDS = ("basket", "kitten", "hammer", "napkin", "orange", "candle")
FUNCTIONS = """
import statistics

def variety(examples):
    return [len(set(e.generation)) for e in examples]

def evens(examples):
    return [e.record["n"] % 2 for e in examples]

def both(examples):
    mean = statistics.fmean(e.loss / e.tokens for e in examples)
    return {"mean": mean, "most": [1.0] * len(examples)}

def words(examples):
    return "many"

def nothing_else(examples):
    return [float("nan")] * len(examples)

def pair(examples):
    return {"a": 1.0, "b": 2.0}

def too_few(examples):
    return [1.0]

def length_of_reference(examples):
    return [len(e.reference) for e in examples]

def different(examples):
    assert {len(e.generations) for e in examples} == {3}
    return [len(set(e.generations)) for e in examples]
"""
Run = Callable[..., tuple[TrialResult, Path]]


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Overrides of a quick trial on sixty records, with a module of metrics in the folder."""
    records = [
        {"prompt": f"{n}:", "completion": WORDS[n % 6] * (1 + n % 4), "n": n} for n in range(60)
    ]
    (tmp_path / "all.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    return [
        "model=tiny",
        "data=jsonl",
        f"data.train_files=[{tmp_path}/all.jsonl]",
        "data.eval_fraction=0.2",
        "data.block_size=64",
        "training.max_steps=6",
        "training.eval_steps=1",
        "training.learning_rate=0.05",
        "training.dtype=fp32",
    ]


@pytest.fixture
def run(given: list[str], settings: Callable[..., Config], tmp_path: Path) -> Run:
    """``run("metrics=exact_match", ...)``: the trial's result and folder."""

    def _run(*overrides: str) -> tuple[TrialResult, Path]:
        folder = tmp_path / "trial"
        folder.mkdir()
        return run_trial(settings(*given, *overrides), folder, channel()), folder

    return _run


def metric(name: str, **keys: object) -> str:
    """``metrics.NAME={...}`` of a function of the module."""
    pairs = {"function": f"mine.{name}", "max_new_tokens": 8, **keys}
    return f"metrics.{name}={{{', '.join(f'{key}: {value}' for key, value in pairs.items())}}}"


def test_token_accuracy_is_that_of_plain_transformers(
    run: Run, given: list[str], settings: Callable[..., Config]
) -> None:
    result, folder = run("metrics=token_accuracy")
    base, data = set_up(settings(*given))
    part = data.evaluation
    model = PeftModel.from_pretrained(base.model, folder / "adapter").eval()
    hits = tokens = 0
    for example in part.layout.examples.tolist():
        length = int(part.examples.lengths[example])
        ids = torch.tensor(part.examples.input_ids(example, 0, length).astype(np.int64))
        carries = torch.tensor(part.examples.kinds(example, 0, length) > 0)[1:]
        with torch.no_grad():
            predicted = model(ids[None]).logits[0, :-1].argmax(-1)
        hits += int((predicted == ids[1:])[carries].sum())
        tokens += int(carries.sum())
    assert result.metrics["token_accuracy"] == hits / tokens > 0
    assert "token_accuracy_stderr" not in result.metrics  # no value per example


def test_the_best_checkpoint_is_the_one_with_the_best_metric(run: Run) -> None:
    result, folder = run(metric("variety"))
    found = {line["step"]: line["metrics"]["variety"] for line in reports(folder)}
    losses = {line["step"]: line["eval_loss"] for line in reports(folder)}
    of_training = {step: found[step] for step in found if step}
    best = max(of_training.values())
    # Of equal metrics, the lower loss decides.
    wanted = min((step for step in of_training if found[step] == best), key=losses.__getitem__)
    assert result.metrics["best_step"] == wanted
    assert wanted != min(of_training, key=losses.__getitem__)  # the loss chooses another
    assert result.values == (best,) == (result.metrics["variety"],)
    assert result.metrics["eval_loss"] == losses[wanted]
    assert result.metrics["base_variety"] == found[0]
    assert 0 < result.metrics["metrics_seconds"] < result.metrics["train_seconds"]


def test_answers_of_the_best_checkpoint_lie_beside_those_of_the_base_model(run: Run) -> None:
    result, folder = run(metric("variety", examples=4))
    lines = [json.loads(line) for line in (folder / "generations.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    for line in lines:
        n = int(line["prompt"].removesuffix(":"))
        assert line["reference"] == WORDS[n % 6] * (1 + n % 4)
        assert line["scores"] == {"variety": len(set(line["generation"]))}
        assert line["base_scores"] == {"variety": len(set(line["base"]))}
    scores = [line["scores"]["variety"] for line in lines]
    assert result.metrics["variety"] == pytest.approx(np.mean(scores))
    error = np.std(scores, ddof=1) / 2
    assert result.metrics["variety_stderr"] == pytest.approx(error)


SAMPLED = {"samples": 3, "temperature": 1.5, "examples": 4}


def answers_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "generations.jsonl").read_text().splitlines()]


def test_a_metric_may_ask_for_several_sampled_answers(run: Run) -> None:
    result, folder = run(metric("different", **SAMPLED), metric("variety", examples=6))
    lines = answers_in(folder)
    assert len(lines) == 6
    with_samples = [line for line in lines if line["samples"]]
    assert len(with_samples) == 4
    for line in with_samples:
        samples = line["samples"]["different"]
        assert line["scores"]["different"] == len(set(samples))
        assert line["base_scores"]["different"] == len(set(line["base_samples"]["different"]))
        assert line["scores"]["variety"] == len(set(line["generation"]))  # the greedy answer
    assert result.metrics["different"] > 1


def test_of_sampled_answers_alone_the_first_is_shown(run: Run) -> None:
    _, folder = run(metric("different", **SAMPLED))
    for line in answers_in(folder):
        assert line["generation"] == line["samples"]["different"][0]
        assert line["base"] == line["base_samples"]["different"][0]


def test_metrics_share_answers_that_are_made_alike(run: Run) -> None:
    fewer = {**SAMPLED, "samples": 2, "examples": 6}
    _, folder = run(metric("different", **SAMPLED), metric("variety", **fewer))
    lines = answers_in(folder)
    assert [len(line["samples"]["variety"]) for line in lines] == [2] * 6
    both = [line["samples"] for line in lines if "different" in line["samples"]]
    assert [one["different"][:2] for one in both] == [one["variety"] for one in both]
    assert len(both) == 4


@pytest.mark.parametrize("batch_size", [1, 5])
def test_sampled_answers_depend_on_neither_batch_nor_interruption(
    run: Run, given: list[str], settings: Callable[..., Config], tmp_path: Path, batch_size: int
) -> None:
    whole, folder = run(metric("different", **SAMPLED, batch_size=3))
    lines = answers_in(folder)
    config = settings(*given, metric("different", **SAMPLED, batch_size=batch_size))
    again = tmp_path / "again"
    again.mkdir()
    with pytest.raises(TrialInterruptedError):
        run_trial(config, again, InterruptedAfter(3))
    resumed = run_trial(config, again, channel())
    assert answers_in(again) == lines
    assert resumed.values == whole.values


class InterruptedAfter(StandaloneChannel):
    """A channel that interrupts the trial after this many steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def interrupted(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_a_function_sees_the_records_and_may_return_several_values(run: Run) -> None:
    result, _ = run(metric("evens"), metric("both", on="tokens", returns="[mean, most]"))
    assert set(result.metrics) >= {"evens", "both_mean", "both_most", "both_most_stderr"}
    assert result.metrics["both_most"] == 1.0
    assert 0 < result.metrics["evens"] < 1


FORGETFUL = (  # earlier answers are shortened, so that each turn is a text of its own
    "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' and not loop.last %}"
    "{{ m.content[:1] }}{% else %}{{ m.content }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def test_answers_of_one_conversation_are_one_sample(run: Run, tmp_path: Path) -> None:
    def turns(n: int) -> list[dict[str, str]]:
        said = [str(n), WORDS[n % 6], "again", WORDS[n % 5]]
        return [
            {"role": role, "content": text}
            for role, text in zip(("user", "assistant") * 2, said, strict=True)
        ]

    rows = "".join(f"{json.dumps({'messages': turns(n)})}\n" for n in range(60))
    (tmp_path / "all.jsonl").write_text(rows)
    (tmp_path / "forgetful.jinja").write_text(FORGETFUL)
    template = f"data.chat_template={tmp_path}/forgetful.jinja"
    result, folder = run(metric("variety"), template, "data.block_size=96")
    scores: dict[int, list[float]] = {}
    for line in answers_in(folder):
        scores.setdefault(line["document"], []).append(line["scores"]["variety"])
    assert {len(own) for own in scores.values()} == {2}
    error = sem([np.mean(own) for own in scores.values()])
    assert result.metrics["variety_stderr"] == pytest.approx(error)


def test_the_reference_in_the_file_is_the_one_that_is_scored(run: Run, tmp_path: Path) -> None:
    end = byte_tokenizer().eos_token
    rows = [{"prompt": f"{n}:", "completion": f"a{end}b"} for n in range(60)]
    (tmp_path / "all.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    result, folder = run(metric("length_of_reference"))
    assert {line["reference"] for line in answers_in(folder)} == {"ab"}
    assert result.metrics["length_of_reference"] == 2


def test_a_metric_of_every_third_evaluation_is_computed_there_and_at_the_end(run: Run) -> None:
    result, folder = run(metric("variety", every=4))
    assert [line["step"] for line in reports(folder) if "metrics" in line] == [0, 4, 6]
    assert result.metrics["best_step"] in (4, 6)


@pytest.mark.parametrize("keys", [{}, SAMPLED])
def test_the_training_is_the_same_with_and_without_metrics(
    run: Run, tmp_path: Path, keys: dict[str, float]
) -> None:
    with_metric, folder = run(metric("variety", **keys), "lora.dropout=0.1")
    folder.rename(tmp_path / "before")
    without, again = run("lora.dropout=0.1")
    assert [line["eval_loss"] for line in reports(tmp_path / "before")] == [
        line["eval_loss"] for line in reports(again)
    ]
    assert without.metrics["eval_loss"] <= with_metric.metrics["eval_loss"]
    assert not (again / "generations.jsonl").exists()


def test_a_best_checkpoint_without_a_metric_gets_it_at_the_end(run: Run) -> None:
    result, folder = run(metric("variety", every=5), "objectives=loss")
    losses = {line["step"]: line["eval_loss"] for line in reports(folder)}
    best = min((step for step in losses if step), key=losses.__getitem__)
    assert result.metrics["best_step"] == best
    assert best % 5  # it was not due there
    lines = [json.loads(line) for line in (folder / "generations.jsonl").read_text().splitlines()]
    scores = [len(set(line["generation"])) for line in lines]
    assert result.metrics["variety"] == pytest.approx(np.mean(scores))


def test_patience_waits_for_the_metric(run: Run) -> None:
    result, _ = run(metric("variety", every=3), "training.early_stopping_patience=2")
    assert result.metrics["steps"] == 6  # the metric was known after three and six


def test_a_trial_that_ends_early_has_all_its_metrics(
    given: list[str], settings: Callable[..., Config], tmp_path: Path
) -> None:
    class Stop(StandaloneChannel):
        def report(self, report: Report) -> Answer:
            return Answer.CONTINUE if report.step < 2 else Answer.STOP

    folder = tmp_path / "trial"
    folder.mkdir()
    result = run_trial(settings(*given, metric("variety", every=4)), folder, Stop())
    assert result.metrics["steps"] == result.metrics["best_step"] == 2
    assert result.values == (result.metrics["variety"],)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("words", "metrics.words: mine.words: TypeError: a str was returned, no number"),
        ("nothing_else", "metrics.nothing_else: nan returned, no finite number"),
        ("pair", "metrics.pair: ['a', 'b'] returned, allowed: metrics.pair.returns=[]"),
        ("too_few", "metrics.too_few: 1 values returned for 12 examples"),
        ("missing", "metrics.missing: mine.missing: AttributeError: module 'mine' has no"),
    ],
)
def test_a_wrong_function_fails_the_trial_in_one_line(run: Run, name: str, reason: str) -> None:
    with pytest.raises(MetricError) as raised:
        run(metric(name))
    assert str(raised.value).startswith(reason)


def test_running_text_has_no_prompts(settings: Callable[..., Config], tmp_path: Path) -> None:
    config = settings("model=tiny", "data.block_size=32", "metrics=exact_match")
    with pytest.raises(UserError, match="allowed: tokens: running text has no prompts"):
        run_trial(config, tmp_path, channel())


def test_a_diverged_loss_is_never_the_best(run: Run) -> None:
    with pytest.raises(FloatingPointError):
        run(metric("variety"), f"training.learning_rate={math.inf}")
