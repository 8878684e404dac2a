"""Define what a metric function receives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GenerationExample:
    """The model's answers to the prompt of an evaluation example.

    Attributes:
        prompt: text that the model was given, with the chat template's markup
        generations: texts that the model generated, without special tokens; one, or ``samples``
        reference: target text of the example, without special tokens
        record: complete row of the data
    """

    prompt: str
    generations: Sequence[str]
    reference: str
    record: Mapping[str, Any]

    @property
    def generation(self) -> str:
        """The first of the generated texts."""
        return self.generations[0]


@dataclass(frozen=True)
class TokenExample:
    """Scores of the target tokens of an evaluation example.

    Attributes:
        loss: summed negative log-likelihood of the target tokens, in nats
        tokens: number of target tokens
        correct: number of target tokens that are the model's most likely token
        record: complete row of the data
    """

    loss: float
    tokens: int
    correct: int
    record: Mapping[str, Any]


Example = GenerationExample | TokenExample
