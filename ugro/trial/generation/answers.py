"""Answers of a model to the prompts of an evaluated part, as metrics ask for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn
from transformers import PreTrainedTokenizerBase

from ugro.config import MetricConfig, On
from ugro.trial.data.layout import Part
from ugro.trial.data.texts import Prompt
from ugro.trial.generation.generate import encoded, generate
from ugro.trial.generation.sampling import Sampling

Answers = Mapping[int, Sequence[str]]  # by the index of their row in the evaluated part


class Prompts:
    """Prompts of the evaluation rows, each of which holds a single example.

    Subsets are nested: the examples of a smaller limit are among those of a larger one.

    Attributes:
        with_text: whether any row has a prompt
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

    def document(self, row: int) -> int:
        """Return the index of a row's document in the part."""
        return int(self._examples.documents[self.example(row)])

    def rows(self, limit: int | None) -> list[int]:
        """Return at most ``limit`` rows, in order."""
        return sorted(self._order[:limit].tolist())

    def examples(self, limit: int | None) -> list[int]:
        """Return at most ``limit`` rows with a prompt, in order."""
        running = self._examples.running[self._of_row]
        return sorted([row for row in self._order.tolist() if not running[row]][:limit])


@dataclass(frozen=True)
class _Decoding:
    """How answers are generated; metrics with equal ones share their answers."""

    max_new_tokens: int
    temperature: float | None
    top_p: float | None

    def sampling(self, seeds: Sequence[Sequence[int]]) -> Sampling | None:
        """Return how the answers with these seeds are drawn; None if greedily."""
        if self.temperature is None:
            return None
        return Sampling(self.temperature, self.top_p, seeds)


class Answerer:
    """Generates the answers that metrics ask for.

    Args:
        prompts: prompts of the evaluated part
        tokenizer: the model's tokenizer
        ends: tokens that end an answer
        positions: the model's maximum number of positions; None if unlimited
        batch_size: answers per generation, where a metric has none
        seed: seed of sampled answers
    """

    def __init__(
        self,
        prompts: Prompts,
        tokenizer: PreTrainedTokenizerBase,
        ends: Sequence[int],
        positions: int | None,
        batch_size: int,
        seed: int,
    ) -> None:
        self._prompts = prompts
        self._tokenizer = tokenizer
        self._ends = ends
        self._positions = positions
        self._batch_size = batch_size
        self._seed = seed

    def answers(
        self, model: nn.Module, metrics: Mapping[str, MetricConfig]
    ) -> dict[str, dict[int, tuple[str, ...]]]:
        """Return the answers to each prompt, by the name of a metric and the row.

        Args:
            model: model with or without adapter
            metrics: metrics by name; those of tokens need no answers
        """
        asking = {name: one for name, one in metrics.items() if one.on is On.generations}
        rows = {name: self._prompts.examples(one.examples) for name, one in asking.items()}
        wanted: dict[_Decoding, dict[int, int]] = {}
        sizes: dict[_Decoding, int] = {}
        for name, one in asking.items():
            how = _decoding(one)
            size = one.batch_size or self._batch_size
            sizes[how] = min(size, sizes.get(how, size))  # a smaller one may be for the memory
            counts = wanted.setdefault(how, {})
            for row in rows[name]:
                counts[row] = max(one.samples or 1, counts.get(row, 0))
        made = {how: self._generate(model, how, wanted[how], sizes[how]) for how in wanted}
        return {
            name: {row: tuple(made[_decoding(one)][row][: one.samples or 1]) for row in rows[name]}
            for name, one in asking.items()
        }

    def _generate(
        self, model: nn.Module, how: _Decoding, counts: Mapping[int, int], batch_size: int
    ) -> dict[int, list[str]]:
        """Generate as many answers as each row's count."""
        answers: dict[int, list[str]] = {row: [] for row in counts}
        asked = [(row, sample) for row in sorted(counts) for sample in range(counts[row])]
        prompts = {row: self._encoded(self._prompts[row]) for row in counts}
        # The same numbers for all trials and evaluations: their differences are paired.
        seeds = [(self._seed, self._prompts.example(row), sample) for row, sample in asked]
        texts = generate(
            model,
            self._tokenizer,
            [prompts[row] for row, _ in asked],
            self._ends,
            how.max_new_tokens,
            batch_size,
            self._positions,
            how.sampling(seeds),
        )
        for (row, _), text in zip(asked, texts, strict=True):
            answers[row].append(text)
        return answers

    def _encoded(self, prompt: Prompt) -> list[int]:
        return encoded(self._tokenizer, str(prompt.text), prompt.special_tokens)


def _decoding(metric: MetricConfig) -> _Decoding:
    return _Decoding(metric.max_new_tokens, metric.temperature, metric.top_p)
