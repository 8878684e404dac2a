"""Hold a text to train on, and say which of its characters carry loss."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A stretch of characters that carries loss.

    Attributes:
        start: index of its first character
        end: index after its last character
        content: whether it is the target itself, not markup of a chat template; bits per byte count
            content alone
    """

    start: int
    end: int
    content: bool = True


@dataclass(frozen=True)
class Text:
    """One example before it is tokenised.

    Attributes:
        text: all of it, prompt included; it is tokenised as one
        spans: what carries loss, in order, disjoint
        special_tokens: whether the tokenizer adds its start token; a chat template has written it
        end_token: whether the end-of-sequence token is appended, with loss
        running: whether it is running text: what is longer than a row is evaluated row by row
    """

    text: str
    spans: tuple[Span, ...]
    special_tokens: bool = True
    end_token: bool = True
    running: bool = False
