"""Compute the configured metrics of a model on the evaluation part."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from ugro.config import Config, MetricConfig, On
from ugro.config.metrics import is_due, names, of_functions
from ugro.errors import MetricError, UserError, fault
from ugro.metrics.examples import Example, GenerationExample, TokenExample
from ugro.metrics.process import call
from ugro.metrics.ratio_estimate import ratio_estimate
from ugro.metrics.source import source_digest
from ugro.paths import write_atomically
from ugro.retries import is_disk_trouble, retrying
from ugro.trial.data.layout import Part
from ugro.trial.data.texts import Prompt
from ugro.trial.generation.answers import Answerer, Answers, Prompts
from ugro.trial.metrics.lm_eval_tasks import LmEvalTasks
from ugro.trial.parallel import group
from ugro.trial.tasks.evaluation import Evaluation

STDERR = "_stderr"  # suffix of a value's standard error over documents


@dataclass(frozen=True)
class Measured:
    """Values of the metrics at an evaluation.

    Attributes:
        values: by name, with ``_stderr`` (over documents) where there is a value per example
        answers: generated texts by metric, and by the index of their row in the evaluated part
        scores: values of each example by name, by the index of its row
    """

    values: Mapping[str, float] = field(default_factory=dict)
    answers: Mapping[str, Answers] = field(default_factory=dict)
    scores: Mapping[int, Mapping[str, float]] = field(default_factory=dict)


class Metrics:
    """The configured metrics of a trial.

    Args:
        config: configuration of the trial
        part: data to evaluate on
        tokenizer: the model's tokenizer
        ends: tokens that end an answer
        positions: the model's maximum number of positions; None if unlimited
        tasks: the metrics that are computed by tasks, on data of their own; None to leave them out

    Raises:
        UserError: a metric needs prompts, and the data are running text.
    """

    def __init__(
        self,
        config: Config,
        part: Part,
        tokenizer: PreTrainedTokenizerBase,
        ends: Sequence[int],
        positions: int | None,
        tasks: LmEvalTasks | None,
    ) -> None:
        self._configured = of_functions(config.metrics)
        self._tasks = tasks
        self._part = part
        self._tokenizer = tokenizer
        self._ends = ends
        self._seed = config.data.split_seed
        self._prompts = Prompts(part, self._seed)
        batch_size = config.training.eval_batch_size
        self._answerer = Answerer(self._prompts, tokenizer, ends, positions, batch_size, self._seed)
        for name, metric in self._configured.items():
            if metric.on is On.generations and not self._prompts.with_text:
                allowed = "tokens: running text has no prompts"
                raise UserError(fault(f"metrics.{name}.on", "generations", allowed))

    @property
    def key(self) -> str:
        """What the values depend on beside the model."""
        sources = [source_digest(metric.function) for metric in self._configured.values()]
        tasks = self._tasks.key if self._tasks else ""
        return (
            f"{self._part.tokens} {self._seed} {self._ends} {self._configured!r} {sources}{tasks}"
        )

    def compute(
        self, model: nn.Module, evaluation: Evaluation, number: int, last: bool
    ) -> Measured:
        """Compute the metrics that are due.

        Args:
            model: model with or without adapter
            evaluation: its evaluation on the same part
            number: number of the evaluation, 0 for the base model
            last: whether no evaluation follows

        Raises:
            MetricError: a function or a task fails, or returns no numbers.
        """
        due = {n: m for n, m in self._configured.items() if is_due(m, number, last)}
        values = self._tasks.compute(model, number, last) if self._tasks else {}
        scores: dict[int, dict[str, float]] = {}
        answers = self._answerer.answers(model, due)
        for name, metric in due.items():
            if metric.on is On.tokens:
                rows = self._prompts.rows(metric.examples)
                examples: list[Example] = [self._token_example(row, evaluation) for row in rows]
            else:
                rows = list(answers[name])
                examples = [self._generation_example(row, answers[name][row]) for row in rows]
            documents = [self._prompts.document(row) for row in rows]
            returned = group.from_first(
                partial(call, name, metric.function, examples, metric.timeout_seconds)
            )
            for value, given in _named(name, metric, returned).items():
                values |= _summary(value, given, documents, f"metrics.{name}")
                if isinstance(given, list):
                    for row, score in zip(rows, given, strict=True):
                        scores.setdefault(row, {})[value] = score
        return Measured(values, answers, scores)

    def _token_example(self, row: int, evaluation: Evaluation) -> TokenExample:
        return TokenExample(
            loss=float(evaluation.losses[row]),
            tokens=int(evaluation.targets[row]),
            correct=int(evaluation.correct[row]),
            record=json.loads(self._prompts[row].record),
        )

    def _generation_example(self, row: int, generations: Sequence[str]) -> GenerationExample:
        prompt = self._prompts[row]
        assert prompt.text is not None
        record = json.loads(prompt.record)
        return GenerationExample(prompt.text, generations, self._reference(prompt), record)

    def _reference(self, prompt: Prompt) -> str:
        """Return the target without special tokens, as answers are decoded."""
        reference = prompt.reference
        for token in self._tokenizer.all_special_tokens:
            reference = reference.replace(token, "")
        return reference

    def save_answers(self, path: Path, base: Measured, trained: Measured) -> None:
        """Write a JSON line per prompt: reference, answers and scores of both models."""
        rows = sorted({row for answers in trained.answers.values() for row in answers})
        if not rows:
            return
        lines = (json.dumps(self._line(row, base, trained)) + "\n" for row in rows)
        retrying(is_disk_trouble, "The answers cannot be written")(
            write_atomically, path, "".join(lines)
        )

    def _line(self, row: int, base: Measured, trained: Measured) -> dict[str, Any]:
        prompt = self._prompts[row]
        answering = [name for name in trained.answers if row in trained.answers[name]]
        shown = min(answering, key=self._preference)
        drawn = [name for name in answering if self._configured[name].temperature is not None]
        return {
            "example": self._prompts.example(row),
            "document": self._prompts.document(row),
            "prompt": prompt.text,
            "reference": self._reference(prompt),
            "base": base.answers[shown][row][0],
            "generation": trained.answers[shown][row][0],
            "base_samples": {name: base.answers[name][row] for name in drawn},
            "samples": {name: trained.answers[name][row] for name in drawn},
            "base_scores": base.scores.get(row, {}),
            "scores": trained.scores.get(row, {}),
        }

    def _preference(self, name: str) -> tuple[bool, int]:
        """Order metrics by their answers: greedy before drawn ones, long before short ones."""
        metric = self._configured[name]
        return metric.temperature is not None, -metric.max_new_tokens


def _named(name: str, metric: MetricConfig, returned: Any) -> dict[str, Any]:
    """Return the function's values by name.

    Raises:
        MetricError: they are others than configured.
    """
    values = {name: returned}
    if isinstance(returned, Mapping):
        values = {f"{name}_{key}": value for key, value in returned.items()}
    if set(values) != set(names(name, metric)):
        given = sorted(returned) if isinstance(returned, Mapping) else "no dictionary"
        raise MetricError(
            f"metrics.{name}: {given} returned, allowed: metrics.{name}.returns={metric.returns}"
        )
    return values


def _summary(name: str, given: Any, documents: Sequence[int], key: str) -> dict[str, float]:
    """Return a value, or the mean of the examples' values and its standard error over documents.

    Raises:
        MetricError: they are not finite, or not one per example.
    """
    numbers = given if isinstance(given, list) else [given]
    if isinstance(given, list) and len(given) != len(documents):
        raise MetricError(f"{key}: {len(given)} values returned for {len(documents)} examples")
    for value in numbers:
        if not isinstance(value, float) or not math.isfinite(value):
            raise MetricError(f"{key}: {value} returned, no finite number")
    if not isinstance(given, list):
        return {name: given}
    mean, stderr = ratio_estimate(given, [1.0] * len(given), documents)
    return {name: mean} if math.isnan(stderr) else {name: mean, f"{name}{STDERR}": stderr}
