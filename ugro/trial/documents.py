"""Where does the text come from, and which of it is held out for evaluation?"""

import glob
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugro.config import DataConfig, Source
from ugro.errors import UserError, fault

REPEATED_LENGTH = 40  # characters from which a paragraph that stands twice is no coincidence


@dataclass(frozen=True)
class Segment:
    """A stretch of a document: with loss, or given to the model as a prompt."""

    text: str
    trained: bool = True


@dataclass(frozen=True)
class Document:
    """Segments in order. ``rendered`` text already holds its special tokens (a chat template)."""

    segments: tuple[Segment, ...]
    rendered: bool = False

    @property
    def length(self) -> int:
        """Characters in all segments."""
        return sum(len(segment.text) for segment in self.segments)


@dataclass(frozen=True)
class Split:
    """Documents to train on, and others to evaluate on."""

    train: tuple[Document, ...]
    evaluation: tuple[Document, ...]


def split_documents(config: DataConfig, tokenizer: Any) -> Split:
    """Read the documents and hold some out; no document stands on both sides.

    The split depends on ``data.split_seed`` and the documents, not on the trial's seed, so that all
    trials of a study are evaluated on the same text.

    Args:
        config: which data
        tokenizer: whose chat template renders chat records

    Raises:
        UserError: files or columns are missing, a record is malformed, or a side is empty.
    """
    if config.eval_files or config.eval_split:
        evaluation = tuple(_distinct(_read(config, tokenizer, for_evaluation=True)))
        held_out = set(evaluation)
        train = [d for d in _read(config, tokenizer) if d not in held_out]
        split = Split(tuple(_distinct(train)), evaluation)
    else:
        split = hold_out(
            list(_distinct(_read(config, tokenizer))), config.eval_fraction, config.split_seed
        )
    if not split.train or not split.evaluation:
        given = f"{len(split.train)} documents to train, {len(split.evaluation)} to evaluate"
        raise UserError(fault("data", given, "at least one each, different from one another"))
    return split


def hold_out(documents: list[Document], fraction: float, seed: int) -> Split:
    """Hold out whole documents, drawn at random, until they make up ``fraction`` of the characters.

    A document longer than what is still wanted is passed over, so that one giant among small ones
    does not eat the training set; where all are too long the shortest is taken.
    """
    order = documents.copy()
    random.Random(seed).shuffle(order)
    wanted = fraction * sum(document.length for document in documents)
    chosen: set[Document] = set()
    for document in order:
        if document.length <= wanted:
            chosen.add(document)
            wanted -= document.length
    if not chosen and len(documents) > 1:
        chosen = {min(documents, key=lambda document: document.length)}
    train = tuple(document for document in documents if document not in chosen)
    evaluation = tuple(document for document in documents if document in chosen)
    return Split(train, evaluation)


def _read(config: DataConfig, tokenizer: Any, for_evaluation: bool = False) -> Iterator[Document]:
    files = config.eval_files if for_evaluation else config.train_files
    match config.source:
        case Source.pydocs:
            return _pydocs()
        case Source.hub:
            return _hub(config, for_evaluation)
        case Source.text:
            return _text(files)
        case Source.jsonl:
            return _jsonl(files, tokenizer)


def _distinct(documents: Iterable[Document]) -> Iterator[Document]:
    return iter(dict.fromkeys(documents))


def _plain(text: str) -> Document:
    return Document((Segment(text),))


def _pydocs() -> Iterator[Document]:
    """A document a topic, less the paragraphs that stand in another topic as well.

    A fifth of the reference is printed twice (``specialnames`` holds the whole of
    ``customization``): held out as it is, the evaluation text would be trained on.
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    for _, text in sorted(topics.items()):
        kept = []
        for paragraph in text.split("\n\n"):
            identity = " ".join(paragraph.split())
            if len(identity) < REPEATED_LENGTH or identity not in seen:
                kept.append(paragraph)
            seen.add(identity)
        yield _plain("\n\n".join(kept))


def _hub(config: DataConfig, for_evaluation: bool) -> Iterator[Document]:
    import datasets

    split = config.eval_split if for_evaluation else config.train_split
    try:
        rows = datasets.load_dataset(str(config.path), config.subset, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().splitlines()[0]
        allowed = "a data set on the hub or a folder, with data.subset and split as it has them"
        raise UserError(f"{fault('data.path', config.path, allowed)} ({reason})") from error
    if config.text_column not in rows.column_names:
        raise UserError(fault("data.text_column", config.text_column, ", ".join(rows.column_names)))
    texts = [text for text in rows[config.text_column] if text and text.strip()]
    yield from map(_plain, ["\n\n".join(texts)] if config.join_rows else texts)


def _files(patterns: list[str]) -> list[Path]:
    files: list[Path] = []
    for pattern in patterns:
        names = glob.glob(pattern, recursive=True)  # ** finds folders too
        found = sorted(path for path in map(Path, names) if path.is_file())
        if not found:
            raise UserError(fault("data.train_files or eval_files", pattern, "files that exist"))
        files += found
    return files


def _text(patterns: list[str]) -> Iterator[Document]:
    for path in _files(patterns):
        text = _utf8(path)
        if text.strip():
            yield _plain(text)


def _jsonl(patterns: list[str], tokenizer: Any) -> Iterator[Document]:
    for path in _files(patterns):
        for number, line in enumerate(_utf8(path).split("\n"), start=1):
            if line.strip():
                yield _record(line, f"{path}:{number}", tokenizer)


def _utf8(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error})") from error


def _record(line: str, place: str, tokenizer: Any) -> Document:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: not a JSON object ({error})") from error
    match record:
        case {"prompt": str(prompt), "completion": str(completion)}:
            return Document((Segment(prompt, trained=False), Segment(completion)))
        case {"prompt": [*prompt], "completion": [*completion]}:
            return _chat(prompt + completion, place, tokenizer, given=len(prompt))
        case {"messages": [_, *_] as messages}:
            return _chat(messages, place, tokenizer)
    allowed = "{prompt, completion} or {messages: [{role, content}, ...]}"
    given = sorted(record) if isinstance(record, dict) else type(record).__name__
    raise UserError(fault(place, given, allowed))


def _chat(messages: list[dict[str, str]], place: str, tokenizer: Any, given: int = 0) -> Document:
    """A conversation as the chat template renders it.

    Loss on the assistant's turns, less those among the first ``given`` messages.
    """
    if not tokenizer.chat_template:
        raise UserError(f"{place}: chat records, but this model's tokenizer has no chat template")
    if not all(isinstance(message, dict) for message in messages):
        raise UserError(fault(place, messages, "messages of {role, content}"))
    segments: list[Segment] = []
    done = ""
    for turn, message in enumerate(messages):
        if message.get("role") != "assistant" or turn < given:
            continue
        prompt = _render(tokenizer, messages[:turn], place, add_generation_prompt=True)
        answer = _render(tokenizer, messages[: turn + 1], place)
        if not (answer.startswith(prompt) and prompt.startswith(done)):
            raise UserError(
                f"{place}: this chat template rewrites earlier turns; "
                "give one assistant turn a record"
            )
        segments += [Segment(prompt[len(done) :], trained=False), Segment(answer[len(prompt) :])]
        done = answer
    if not segments:
        raise UserError(f"{place}: no assistant message to learn from")
    return Document(tuple(segments), rendered=True)


def _render(tokenizer: Any, messages: list[dict[str, str]], place: str, **options: bool) -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))
    except (TemplateError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{place}: the chat template refuses this record ({error})") from error
