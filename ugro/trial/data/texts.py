"""Training texts with the character spans that contribute to the loss."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Span:
    """Characters that contribute to the loss.

    Attributes:
        start: index of the first character
        end: index after the last character
        content: whether the span is target content rather than chat markup; bits per byte counts
            only content
    """

    start: int
    end: int
    content: bool = True


@dataclass(frozen=True)
class Text:
    """An example before tokenisation.

    Attributes:
        text: complete text including the prompt
        spans: disjoint target spans, in order
        special_tokens: whether the tokenizer adds its start token; false after a chat template
        end_token: whether an end-of-sequence token is appended as a target
        running: whether it is running text, which is evaluated in windows if longer than a row
        record: complete row of the data, for metrics; None in the training part
        label: class of the text; None unless texts are classified
    """

    text: str
    spans: tuple[Span, ...]
    special_tokens: bool = True
    end_token: bool = True
    running: bool = False
    record: Mapping[str, Any] | None = None
    label: str | None = None

    @property
    def prompt(self) -> "Prompt | None":
        """The text as a task for generation; None in the training part."""
        if self.record is None:
            return None
        record = json.dumps(self.record, default=str)
        if self.running or self.label is not None:
            reference = self.text if self.label is None else self.label
            return Prompt(None, self.special_tokens, reference, record)
        start = self.spans[-1].start
        for span in reversed(self.spans[:-1]):
            if span.end < start:
                break
            start = span.start
        end = max((span.end for span in self.spans if span.content), default=start)
        reference = self.text[start : max(start, end)]
        return Prompt(self.text[:start], self.special_tokens, reference, record)


@dataclass(frozen=True)
class Prompt:
    """An example as a task for generation.

    Attributes:
        text: text before the last target; None for running text and for a text with a label
        special_tokens: whether the tokenizer adds its start token
        reference: content of the last target, without end markup, or the label
        record: complete row of the data, JSON
    """

    text: str | None
    special_tokens: bool
    reference: str
    record: str
