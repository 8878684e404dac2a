"""Read running text: text files, and Python's own reference."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ugro.trial.data.documents import Document
from ugro.trial.data.record_files import lines

REPEATED_LENGTH = 40  # minimum characters for a repeated paragraph to count as a duplicate


def text_files(paths: Iterable[Path]) -> Iterator[Document]:
    """Yield a document per file, without blank ones."""
    for path in paths:
        text = "".join(line for _, line in lines(path))
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if text.strip():
            yield running(str(path), text)


def pydocs() -> Iterator[Document]:
    """Yield a document per topic, without paragraphs that an earlier topic contains.

    A fifth of the reference is duplicated (``specialnames`` contains ``customization``): without
    this, evaluation texts would also be in the training part.
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    for name, text in sorted(topics.items()):
        kept = []
        for paragraph in text.split("\n\n"):
            identity = " ".join(paragraph.split())
            if len(identity) < REPEATED_LENGTH or identity not in seen:
                kept.append(paragraph)
            seen.add(identity)
        if any(paragraph.strip() for paragraph in kept):
            yield running(f"topic {name}", "\n\n".join(kept))


def running(place: str, text: str) -> Document:
    """Return a document of running text."""
    content = {"text": text}
    return Document(place, content, record=content)
