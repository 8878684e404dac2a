"""Compute the configured metrics of a model on the evaluation part."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from transformers import PreTrainedTokenizerBase

from ugro.config import Config, MetricConfig, On
from ugro.config.metrics import is_due, names, of_functions
from ugro.errors import MetricError, UserError, fault
from ugro.metrics.examples import Example, GenerationExample, TokenExample
from ugro.metrics.process import call
from ugro.metrics.source import source_digest
from ugro.paths import write_atomically
from ugro.retries import is_disk_trouble, retrying
from ugro.trial.data.layout import Part
from ugro.trial.data.texts import Prompt
from ugro.trial.evaluation import Evaluation
from ugro.trial.generation import encoded, generate
from ugro.trial.lm_eval_tasks import LmEvalTasks

STDERR = "_stderr"  # suffix of a value's standard error over examples


@dataclass(frozen=True)
class Measured:
    """Values of the metrics at an evaluation.

    Attributes:
        values: by name, with ``_stderr`` where there is a value per example
        generations: generated texts by the index of their row in the evaluated part
        scores: values of each example by name, by the index of its row
    """

    values: Mapping[str, float] = field(default_factory=dict)
    generations: Mapping[int, str] = field(default_factory=dict)
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
        self._positions = positions
        self._batch_size = config.training.eval_batch_size
        self._seed = config.data.split_seed
        self._prompts = _Prompts(part, self._seed)
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
        generated = self._generate(model, due.values())
        for name, metric in due.items():
            if metric.on is On.tokens:
                rows = self._prompts.rows(metric.examples)
                examples: list[Example] = [self._token_example(row, evaluation) for row in rows]
            else:
                rows = self._prompts.examples(metric.examples)
                answers = generated[metric.max_new_tokens]
                examples = [self._generation_example(row, answers[row]) for row in rows]
            returned = call(name, metric.function, examples, metric.timeout_seconds)
            for value, given in _named(name, metric, returned).items():
                values |= _summary(value, given, len(examples), f"metrics.{name}")
                if isinstance(given, list):
                    for row, score in zip(rows, given, strict=True):
                        scores.setdefault(row, {})[value] = score
        longest = max(generated, default=0)
        return Measured(values, generated.get(longest, {}), scores)

    def _generate(
        self, model: nn.Module, metrics: Iterable[MetricConfig]
    ) -> dict[int, dict[int, str]]:
        """Return the answers by length limit and example."""
        wanted: dict[int, list[int]] = {}
        sizes: dict[int, int] = {}
        for metric in metrics:
            if metric.on is On.generations:
                rows = self._prompts.examples(metric.examples)
                if len(rows) > len(wanted.get(metric.max_new_tokens, [])):
                    wanted[metric.max_new_tokens] = rows
                size = metric.batch_size or self._batch_size
                sizes[metric.max_new_tokens] = max(size, sizes.get(metric.max_new_tokens, 1))
        return {
            length: dict(zip(rows, self._answers(model, rows, length, sizes[length]), strict=True))
            for length, rows in wanted.items()
        }

    def _answers(self, model: nn.Module, rows: list[int], length: int, size: int) -> list[str]:
        tokenizer, ends = self._tokenizer, self._ends
        prompts = [self._prompts[row] for row in rows]
        asked = [encoded(tokenizer, str(one.text), one.special_tokens) for one in prompts]
        return generate(model, tokenizer, asked, ends, length, size, self._positions)

    def _token_example(self, row: int, evaluation: Evaluation) -> TokenExample:
        return TokenExample(
            loss=float(evaluation.losses[row]),
            tokens=int(evaluation.tokens[row]),
            correct=int(evaluation.correct[row]),
            record=json.loads(self._prompts[row].record),
        )

    def _generation_example(self, row: int, generation: str) -> GenerationExample:
        prompt = self._prompts[row]
        assert prompt.text is not None
        reference = prompt.reference
        for token in self._tokenizer.all_special_tokens:  # answers are decoded without them
            reference = reference.replace(token, "")
        return GenerationExample(prompt.text, generation, reference, json.loads(prompt.record))

    def save_answers(self, path: Path, base: Measured, trained: Measured) -> None:
        """Write a JSON line per generated text: prompt, reference, and both models' answers."""
        if not trained.generations:
            return
        lines = []
        for row, answer in sorted(trained.generations.items()):
            prompt = self._prompts[row]
            line = {
                "example": self._prompts.example(row),
                "prompt": prompt.text,
                "reference": prompt.reference,
                "base": base.generations.get(row),
                "generation": answer,
                "base_scores": base.scores.get(row, {}),
                "scores": trained.scores.get(row, {}),
            }
            lines.append(json.dumps(line) + "\n")
        retrying(is_disk_trouble, "The answers cannot be written")(
            write_atomically, path, "".join(lines)
        )


class _Prompts:
    """Prompts of the evaluation rows, each of which holds a single example.

    Subsets are nested: the examples of a smaller limit are among those of a larger one.
    """

    def __init__(self, part: Part, seed: int) -> None:
        self._examples = part.examples
        self._of_row = part.layout.examples[part.layout.rows[:-1]]
        self._order = np.random.default_rng(seed).permutation(len(self._of_row))
        self.with_text = not part.examples.running[self._of_row].all()

    def __getitem__(self, row: int) -> Prompt:
        return self._examples.prompt(self.example(row))

    def example(self, row: int) -> int:
        """Return the index of a row's example among all examples of the part."""
        return int(self._of_row[row])

    def rows(self, limit: int | None) -> list[int]:
        """Return at most ``limit`` rows, in order."""
        return sorted(self._order[:limit].tolist())

    def examples(self, limit: int | None) -> list[int]:
        """Return at most ``limit`` rows with a prompt, in order."""
        running = self._examples.running[self._of_row]
        return sorted([row for row in self._order.tolist() if not running[row]][:limit])


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


def _summary(name: str, given: Any, count: int, key: str) -> dict[str, float]:
    """Return a value, or the mean and standard error of the examples' values.

    Raises:
        MetricError: they are not finite, or not one per example.
    """
    numbers = given if isinstance(given, list) else [given]
    if isinstance(given, list) and len(given) != count:
        raise MetricError(f"{key}: {len(given)} values returned for {count} examples")
    for value in numbers:
        if not isinstance(value, float) or not math.isfinite(value):
            raise MetricError(f"{key}: {value} returned, no finite number")
    found = {name: statistics.fmean(numbers)}
    if isinstance(given, list) and count > 1:
        found[f"{name}{STDERR}"] = statistics.stdev(numbers) / math.sqrt(count)
    return found
