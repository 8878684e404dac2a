"""Define what a metric function receives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GenerationExample:
    """An answer of the model to the prompt of an evaluation example.

    Attributes:
        prompt: text that the model was given, with the chat template's markup
        generation: text that the model generated, without special tokens
        reference: target text of the example
        record: complete row of the data
    """

    prompt: str
    generation: str
    reference: str
    record: Mapping[str, Any]


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
