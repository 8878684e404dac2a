"""Documents of a data set before tokenisation: running text, prompt and completion, messages."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

WORD = re.compile(r"[^\W_]+")
TEXT = "text"  # format of running text


@dataclass(frozen=True)
class Document:
    """A document before tokenisation and chat template.

    Attributes:
        place: file and line, or data set, split and row, for error messages
        content: ``text``; or ``prompt`` and ``completion``, strings or lists of messages; or
            ``messages``; conversations may have ``tools``
        group: documents with the same group stay in the same part of the split; None for no group
        record: the row with all its columns; ``text`` for files of running text
        format: the format that the row was recognised as
        weight: how often it is trained on in a pass
        member: index of its set in a mixture
    """

    place: str
    content: Mapping[str, Any]
    group: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    format: str = field(default=TEXT, compare=False)
    weight: float = field(default=1.0, compare=False)
    member: int = field(default=0, compare=False)

    @cached_property
    def identity(self) -> bytes:
        """A 16-byte digest of the content, equal for exact duplicates whatever their file format.

        Keys without a value are left out: Arrow adds them wherever another record has one.
        """
        plain = json.dumps(
            _without_nulls(self.content), sort_keys=True, ensure_ascii=False, default=str
        )
        return hashlib.blake2b(plain.encode(), digest_size=16).digest()

    @property
    def is_conversation(self) -> bool:
        """Whether it consists of messages, which a chat template renders."""
        return "messages" in self.content or isinstance(self.content.get("prompt"), list)

    @cached_property
    def length(self) -> int:
        """Total characters of all texts."""
        return sum(map(len, _strings(self.content)))

    @cached_property
    def normalised_digest(self) -> bytes:
        """A digest of case-folded words and numbers, equal for near-duplicates."""
        text = " ".join(_strings(self.content))
        words = " ".join(WORD.findall(text)).casefold() or text
        return hashlib.blake2b(words.encode(), digest_size=16).digest()


@dataclass
class Skipped:
    """Counter of malformed records that ``data.bad_records=skip`` skips, and of filtered ones."""

    count: int = 0
    first: str = ""  # error of the first skipped record
    filtered: int = 0  # records that data.filter excludes

    def note(self, reason: str) -> None:
        """Count a skipped record."""
        self.count += 1
        self.first = self.first or reason


def _strings(content: Any) -> Iterator[str]:
    """Yield all strings of a document's content except roles and keys."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            if key not in ("role", "type"):
                yield from _strings(value)
    elif isinstance(content, list):
        for value in content:
            yield from _strings(value)


def _without_nulls(content: Any) -> Any:
    """Drop keys without a value, except arguments of tool calls, where null is a value."""
    if isinstance(content, Mapping):
        return {
            key: value if key == "arguments" else _without_nulls(value)
            for key, value in content.items()
            if value is not None
        }
    return [_without_nulls(one) for one in content] if isinstance(content, list) else content
