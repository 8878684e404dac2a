"""Show one document of the data as a trial sees it: its tokens as text, and which are trained."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ugro.config import Config
from ugro.errors import UserError, fault
from ugro.trial.data.documents import Document
from ugro.trial.data.preparation import Data, with_chat_template
from ugro.trial.data.reading import part_of_set
from ugro.trial.data.rendering import render_document
from ugro.trial.data.split import Split, read_part, split_documents
from ugro.trial.data.stream import TrainingStream
from ugro.trial.data.tokenization import tokenise
from ugro.trial.model.base_models import load_stop_ids, load_tokenizer
from ugro.trial.setup import silence_transformers

MARKS = ("[[", "]]")  # around trained text where there are no colours


@dataclass(frozen=True)
class Piece:
    """Consecutive tokens as text, all trained or none."""

    text: str
    is_trained: bool


@dataclass(frozen=True)
class ShownExample:
    """An example with its counts of tokens; ``is_running`` and ``label`` as in ``Text``."""

    pieces: tuple[Piece, ...]
    tokens: int
    trained: int
    is_running: bool
    label: str | None = None

    def marked(self) -> str:
        """Return the text with the trained pieces between marks."""
        return "".join(
            piece.text.join(MARKS) if piece.is_trained else piece.text for piece in self.pieces
        )


@dataclass(frozen=True)
class ShownDocument:
    """A document as a trial sees it.

    Attributes:
        place: file and line, or data set, split and row
        format: the format that it was recognised as
        examples: several for a conversation whose chat template rewrites earlier turns
    """

    place: str
    format: str
    examples: tuple[ShownExample, ...]


def show_document(config: Config, part: str, index: int) -> ShownDocument:
    """Read, render and tokenise one document; the model's weights are not loaded.

    Args:
        config: validated configuration of a trial
        part: ``train``, ``eval``, ``test``, or the name of an evaluation set
        index: of the document in the part, from 0

    Raises:
        UserError: the part has no such document, or it is malformed.
    """
    silence_transformers()
    cache_dir = Path(config.cache_dir).expanduser()
    tokenizer = load_tokenizer(config.model, cache_dir)
    tokenizer = with_chat_template(tokenizer, config.data.chat_template)
    stop_ids = load_stop_ids(config.model, cache_dir)
    task = config.task.name
    split = split_documents(config.data, task)
    part = part_of_set(part) if part in config.data.eval_sets else part
    documents = _documents(config, split, part)
    document = next(islice(documents, index, None), None) if index >= 0 else None
    if document is None:
        count = sum(1 for _ in _documents(config, split, part))
        allowed = f"0 to {count - 1}" if count else f"another part: {part} has no documents"
        raise UserError(fault("index", index, allowed))
    texts = render_document(document, tokenizer, stop_ids)
    examples = zip(texts, tokenise(texts, tokenizer), strict=True)
    shown = (
        _shown(one.input_ids, one.kinds, text.running, text.label, tokenizer)
        for text, one in examples
    )
    return ShownDocument(document.place, document.format, tuple(shown))


def _documents(config: Config, split: Split, part: str) -> Iterator[Document]:
    if config.data.streaming and part == "train":
        return iter(TrainingStream(config.data, split, config.task.name))
    return read_part(config.data, split, part, config.task.name)


def first_example(data: Data, tokenizer: PreTrainedTokenizerBase, size: int) -> ShownExample:
    """Return the first training example of prepared data.

    Args:
        data: the data of a trial
        tokenizer: of the base model
        size: number of tokens to show at most
    """
    examples = data.train.examples
    stretch = (0, 0, min(size, int(examples.lengths[0])))
    ids, kinds = examples.input_ids(*stretch), examples.kinds(*stretch)
    return _shown(ids, kinds, bool(examples.running[0]), examples.labels[0].as_py(), tokenizer)


def _shown(
    ids: NDArray[np.int32],
    kinds: NDArray[np.int8],
    is_running: bool,
    label: str | None,
    tokenizer: PreTrainedTokenizerBase,
) -> ShownExample:
    is_trained = kinds > 0
    is_trained[:1] = False  # nothing predicts the first token
    if label is not None:  # it is trained, and no token of the text
        is_trained[:] = False
    pieces = tuple(_pieces(ids.tolist(), is_trained.tolist(), tokenizer))
    if label is not None:
        pieces = (*pieces, Piece(f" {label}", is_trained=True))
    trained = int(np.count_nonzero(is_trained))
    return ShownExample(pieces, len(is_trained), trained, is_running, label)


def _pieces(
    ids: list[int], is_trained: list[bool], tokenizer: PreTrainedTokenizerBase
) -> Iterator[Piece]:
    """Yield the text between changes; tokens are decoded with those before them.

    Llama 2's tokenizer drops the space before the first of the tokens that it decodes.
    """
    end, before = 0, ""
    for trained, run in groupby(is_trained):
        start, end = end, end + sum(1 for _ in run)
        text = str(tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False))
        alone = str(tokenizer.decode(ids[start:end], clean_up_tokenization_spaces=False))
        yield Piece(text[len(before) :] if text.startswith(before) else alone, trained)
        before = text
