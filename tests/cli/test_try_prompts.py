"""Answers of base, baseline and best side by side."""

import io
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from ugro.cli.rerun import configuration_of
from ugro.cli.try_prompts import Answers, main, show
from ugro.trial.model import base_models

from .conftest import best_of, refusal

ANSWERS = [
    Answers("base model", ["no", ""]),
    Answers("trial 0 (baseline)", ["Rome\nis it", "4"]),
    Answers("trial 3 (best)", ["Rome [q]", "four"]),
]


def printed(terminal: bool) -> str:
    text = io.StringIO()
    show(["Capital?", "2 + 2 = ?"], ANSWERS, Console(file=text, force_terminal=terminal, width=80))
    return text.getvalue()


def test_without_a_terminal_each_answer_is_a_line() -> None:
    assert printed(terminal=False) == (
        "prompt: Capital?\nbase model: no\ntrial 0 (baseline): Rome\n  is it\n"
        "trial 3 (best): Rome [q]\n\n"
        "prompt: 2 + 2 = ?\nbase model: (no text)\ntrial 0 (baseline): 4\ntrial 3 (best): four\n\n"
    )


def test_on_a_terminal_they_stand_side_by_side() -> None:
    shown = printed(terminal=True)
    heads = [line for line in shown.splitlines() if "base model" in line]
    assert len(heads) == 2
    assert all("trial 0 (baseline)" in head and "trial 3 (best)" in head for head in heads)
    assert "Rome [q]" in shown


def test_a_terminal_does_not_obey_an_answer() -> None:
    text = io.StringIO()
    show(["x"], [Answers("base model", ["a\x1b[2Jb\rc"])], Console(file=text))
    assert (
        "base model: a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c\n" in text.getvalue()
    )


def test_each_prompt_is_answered_by_three_models(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("What follows 8?\n\nWhat follows 9?\n"))
    main(["study.name=mine", "What follows 7?", "-", "max_new_tokens=4"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("prompt: ")] == [
        f"prompt: What follows {count}?" for count in (7, 8, 9)
    ]
    number = int(best_of(here).name)
    assert sum(line.startswith("base model: ") for line in lines) == 3
    assert sum(line.startswith(f"trial {number} (best") for line in lines) == 3


def test_the_base_models_answer_is_that_of_transformers(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["study.name=mine", "Abc", "max_new_tokens=8"])
    said = capsys.readouterr().out
    config = configuration_of(best_of(here)).model
    base = base_models.load(config, torch.float32, here)
    inputs = base.tokenizer("Abc", return_tensors="pt").to(base.model.device)
    made = base.model.generate(**inputs, max_new_tokens=8, do_sample=False)
    text = base.tokenizer.decode(made[0, 3:], skip_special_tokens=True).strip()
    assert f"base model: {text}".replace("\n", "\n  ") in said


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "prompt: None given, allowed: one or more texts, or - for the lines of stdin"),
        (["x", "max_new_tokens=0"], "max_new_tokens: '0' given, allowed: 1 or more"),
        (["x", "trial=9"], "trial: '9' given, allowed: the number of one of the 2 trials of study"),
        (["x", "max_tokens=3"], "argument: 'max_tokens=3' given, allowed: max_new_tokens, storage"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], line: str, swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(swept)
    assert refusal(main, *arguments).startswith(line)
