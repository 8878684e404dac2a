"""Answers to held-out prompts: base model, baseline and best trial side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ugro.analysis.generations import Generation, generations_of
from ugro.formatting import number

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
    found = generations_of(folder, best)
    if not found:
        return None
    beside = generations_of(folder, baseline) if baseline != best else {}
    models = ["base model", *([f"baseline, trial {baseline}"] if beside else [])]
    changed = {example for example, one in found.items() if one.text != one.base}
    order = sorted(found, key=lambda example: (example not in changed, example))[:MOST]
    rows = (
        _row(found[example], *([beside.get(example)] if beside else []), found[example])
        for example in order
    )
    return AnswerTable((*models, f"best, trial {best}"), tuple(rows), len(found), len(changed))


def _row(asked: Generation, *answered: Generation | None) -> AnsweredPrompt:
    """Return the answers of the base model and of these trials."""
    answers = [Answer(_cut(asked.base), _scores(asked.base_scores), False)]
    for one in answered:
        if one is None:
            answers.append(Answer(None, "", False))
        else:
            answers.append(Answer(_cut(one.text), _scores(one.scores), one.text != asked.base))
    prompt = asked.prompt
    shown = f"... {prompt[-LONGEST:]}" if len(prompt) > LONGEST else prompt
    return AnsweredPrompt(shown, _cut(asked.reference) or "", tuple(answers))


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in scores.items())


def _cut(text: str | None) -> str | None:
    return f"{text[:LONGEST]} ..." if text is not None and len(text) > LONGEST else text
