"""Read documents: running text, prompt-completion pairs, conversations."""

import codecs
import glob
import hashlib
import json
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ugro.config import BadRecords, DataConfig, Source
from ugro.errors import UserError, fault

REPEATED_LENGTH = 40  # minimum characters for a repeated paragraph to count as a duplicate
WORD = re.compile(r"[^\W_]+")
RECORDS = "{prompt, completion}, {messages: [{role, content}, ...]} or {text}"


@dataclass(frozen=True)
class Document:
    """A document before tokenisation and chat template.

    Attributes:
        place: file and line, for error messages
        content: ``text``; or ``prompt`` and ``completion``, strings or lists of messages; or
            ``messages``; conversations may have ``tools``
        group: documents with the same group stay in the same part of the split; None for no group
    """

    place: str
    content: Mapping[str, Any]
    group: str | None = field(default=None)

    @cached_property
    def identity(self) -> bytes:
        """A 16-byte digest of the content, equal for exact duplicates."""
        plain = json.dumps(self.content, sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.blake2b(plain.encode(), digest_size=16).digest()

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
    """Counter of malformed records that ``data.bad_records=skip`` skips."""

    count: int = 0
    first: str = ""  # error of the first skipped record

    def note(self, reason: str) -> None:
        """Count a skipped record."""
        self.count += 1
        self.first = self.first or reason


def read(config: DataConfig, part: str, skipped: Skipped) -> Iterator[Document]:
    """Yield the documents of a part.

    Args:
        config: data configuration
        part: ``train``, ``eval`` or ``test``
        skipped: counts records that ``data.bad_records=skip`` skips

    Raises:
        UserError: files or columns are missing, or a record is malformed.
    """
    files = getattr(config, f"{part}_files")
    match config.source:
        case Source.pydocs:
            return _pydocs()
        case Source.hub:
            return _hub(config, getattr(config, f"{part}_split"), part)
        case Source.text:
            return _text(files, part)
        case Source.jsonl:
            return _jsonl(config, files, part, skipped)


def sources(config: DataConfig) -> list[str]:
    """Identify the data without reading them, by paths, sizes and modification times.

    Raises:
        UserError: files are missing.
    """
    if config.source is Source.pydocs:
        return [f"pydocs of Python {platform.python_version()}"]
    if config.source is Source.hub:
        splits = (config.train_split, config.eval_split, config.test_split)
        return [f"{s} {_rows(config, s, 'train')._fingerprint}" for s in splits if s]
    found = []
    for part in ("train", "eval", "test"):
        for path in _files(getattr(config, f"{part}_files"), part):
            status = path.stat()
            found.append(f"{part} {path.resolve()} {status.st_size} {status.st_mtime_ns}")
    return found


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


def _pydocs() -> Iterator[Document]:
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
            yield Document(f"topic {name}", {"text": "\n\n".join(kept)})


def _hub(config: DataConfig, split: str, part: str) -> Iterator[Document]:
    rows = _rows(config, split, part)
    if config.text_column not in rows.column_names:
        raise UserError(fault("data.text_column", config.text_column, ", ".join(rows.column_names)))
    column = rows.select_columns([config.text_column])
    texts = (row[config.text_column] for row in column)
    kept = (text for text in texts if text and text.strip())
    if config.join_rows:
        yield Document(f"{config.path} {split}", {"text": "\n\n".join(kept)})
        return
    for number, text in enumerate(kept):
        yield Document(f"{config.path} {split}:{number}", {"text": text})


def _rows(config: DataConfig, split: str, part: str) -> Any:
    import datasets

    try:
        return datasets.load_dataset(str(config.path), config.subset, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().splitlines()[0]
        allowed = "a data set on the hub or a folder, with data.subset and split as it has them"
        raise UserError(f"{fault('data.path', config.path, allowed)} ({reason})") from error


def _files(patterns: list[str], part: str) -> list[Path]:
    files: list[Path] = []
    for pattern in patterns:
        names = glob.glob(pattern, recursive=True)  # ** also matches folders
        found = sorted(path for path in map(Path, names) if path.is_file())
        if not found:
            raise UserError(fault(f"data.{part}_files", pattern, "files that exist"))
        files += found
    return files


def _text(patterns: list[str], part: str) -> Iterator[Document]:
    for path in _files(patterns, part):
        text = "".join(line for _, line in _lines(path))
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if text.strip():
            yield Document(str(path), {"text": text})


def _jsonl(
    config: DataConfig, patterns: list[str], part: str, skipped: Skipped
) -> Iterator[Document]:
    for path in _files(patterns, part):
        for number, line in _lines(path):
            if not line.strip():
                continue
            try:
                yield _record(line, f"{path}:{number}", config.group_by)
            except UserError as error:
                if config.bad_records is BadRecords.error:
                    raise
                skipped.note(str(error))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a UTF-8 file, without byte order mark.

    Only line feeds end a line: JSON strings may contain other characters that Python splits at.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                yield number, line.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{number}: not UTF-8 text ({error})") from error


def _record(line: str, place: str, group_by: str | None) -> Document:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{place}: not a JSON object ({error})") from error
    content = _content(record, place)
    if "\\u" in line:  # JSON escapes may encode lone surrogates, which tokenizers refuse
        try:
            json.dumps(content, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{place}: half of a surrogate pair is no character") from error
    return Document(place, content, _group(record, place, group_by))


def _content(record: Any, place: str) -> dict[str, Any]:
    """Return the known fields of a record; other columns are ignored."""
    beside = {k: record[k] for k in ("tools",) if isinstance(record, dict) and record.get(k)}
    match record:
        case {"prompt": str(prompt), "completion": str(completion)}:
            return {"prompt": prompt, "completion": completion}
        case {"prompt": [*prompt], "completion": [*completion]}:
            return {"prompt": prompt, "completion": completion, **beside}
        case {"messages": [_, *_] as messages}:
            return {"messages": messages, **beside}
        case {"text": str(text)}:
            return {"text": text}
    given = sorted(record) if isinstance(record, dict) else type(record).__name__
    raise UserError(fault(place, given, RECORDS))


def _group(record: dict[str, Any], place: str, group_by: str | None) -> str | None:
    if group_by is None:
        return None
    if group_by not in record:
        raise UserError(fault(place, sorted(record), f"a record with data.group_by={group_by}"))
    return json.dumps(record[group_by], sort_keys=True)
