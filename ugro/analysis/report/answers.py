"""Answers to held-out prompts: base model, baseline and best trial side by side."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugro.formatting import number
from ugro.paths import GENERATIONS, trial_folder

MOST, LONGEST = 10, 400  # examples; letters of a text, of a prompt the last


@dataclass(frozen=True)
class Answer:
    """A model's answer.

    Attributes:
        text: None if the model did not answer this prompt
        scores: ``exact_match 1``
        differs: whether it is another answer than the base model's
    """

    text: str | None
    scores: str
    differs: bool


@dataclass(frozen=True)
class AnsweredPrompt:
    """A prompt with its answers, in the order of ``AnswerTable.models``."""

    prompt: str
    reference: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class AnswerTable:
    """Answers of several models to held-out prompts.

    Attributes:
        models: headings of the answers
        rows: those first whose best answer differs from the base model's
        total: number of prompts that the best trial answered
        changed: number of those with a different answer
    """

    models: tuple[str, ...]
    rows: tuple[AnsweredPrompt, ...]
    total: int
    changed: int


def answers_of(folder: Path, best: int | None, baseline: int | None) -> AnswerTable | None:
    """Return the answers that trials left in their folders; None if the best has none.

    Args:
        folder: folder of the study
        best: number of the best trial
        baseline: number of the baseline trial
    """
    found = _read(folder, best)
    if not found:
        return None
    is_other = baseline is not None and baseline != best
    beside = _read(folder, baseline) if is_other else {}
    models = ["base model", *([f"baseline, trial {baseline}"] if beside else [])]
    changed = {key for key, line in found.items() if line["generation"] != line["base"]}
    order = sorted(found, key=lambda key: (key not in changed, key))[:MOST]
    rows = (_row(found[key], beside.get(key) if beside else None, bool(beside)) for key in order)
    return AnswerTable((*models, f"best, trial {best}"), tuple(rows), len(found), len(changed))


def _row(best: Mapping[str, Any], baseline: Mapping[str, Any] | None, both: bool) -> AnsweredPrompt:
    base = best["base"]
    answers = [Answer(_cut(base), _scores(best["base_scores"]), False)]
    for line in ([baseline] if both else []) + [best]:
        text = line["generation"] if line else None
        scores = _scores(line["scores"]) if line else ""
        answers.append(Answer(_cut(text), scores, text is not None and text != base))
    prompt = best["prompt"]
    shown = f"... {prompt[-LONGEST:]}" if len(prompt) > LONGEST else prompt
    return AnsweredPrompt(shown, _cut(best["reference"]) or "", tuple(answers))


def _read(folder: Path, trial: int | None) -> dict[int, dict[str, Any]]:
    """Return a trial's lines by the number of their example."""
    path = trial_folder(folder, trial) / GENERATIONS if trial is not None else None
    if path is None or not path.is_file():
        return {}
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {line["example"]: line for line in lines}


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in scores.items())


def _cut(text: str | None) -> str | None:
    return f"{text[:LONGEST]} ..." if text is not None and len(text) > LONGEST else text
