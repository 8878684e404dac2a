"""Training texts with the character spans that contribute to the loss."""

from dataclasses import dataclass


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
    """

    text: str
    spans: tuple[Span, ...]
    special_tokens: bool = True
    end_token: bool = True
    running: bool = False
