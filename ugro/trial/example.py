"""Show one document of the data as a trial sees it: its tokens as text, and which are trained."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase
from transformers import logging as transformers_logging

from ugro.config import Config
from ugro.errors import UserError, fault
from ugro.trial.data.preparation import with_chat_template
from ugro.trial.data.rendering import render_document
from ugro.trial.data.split import read_part, split_documents
from ugro.trial.data.tokenization import Example, tokenise
from ugro.trial.models import load_tokenizer


@dataclass(frozen=True)
class Piece:
    """Consecutive tokens as text, all trained or none."""

    text: str
    is_trained: bool


@dataclass(frozen=True)
class ShownExample:
    """An example with its counts of tokens; ``is_running`` as in ``Text``."""

    pieces: tuple[Piece, ...]
    tokens: int
    trained: int
    is_running: bool


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
        part: ``train``, ``eval`` or ``test``
        index: of the document in the part, from 0

    Raises:
        UserError: the part has no such document, or it is malformed.
    """
    transformers_logging.set_verbosity_error()
    tokenizer, stop_ids = load_tokenizer(config.model, Path(config.cache_dir).expanduser())
    tokenizer = with_chat_template(tokenizer, config.data.chat_template)
    split = split_documents(config.data)
    documents = read_part(config.data, split, part)
    document = next(islice(documents, index, None), None) if index >= 0 else None
    if document is None:
        count = sum(1 for _ in read_part(config.data, split, part))
        allowed = f"0 to {count - 1}" if count else f"another part: {part} has no documents"
        raise UserError(fault("index", index, allowed))
    texts = render_document(document, tokenizer, stop_ids)
    examples = zip(texts, tokenise(texts, tokenizer), strict=True)
    shown = (_shown(one, text.running, tokenizer) for text, one in examples)
    return ShownDocument(document.place, document.format, tuple(shown))


def _shown(example: Example, is_running: bool, tokenizer: PreTrainedTokenizerBase) -> ShownExample:
    is_trained = example.kinds > 0
    is_trained[:1] = False  # nothing predicts the first token
    pieces = tuple(_pieces(example.input_ids.tolist(), is_trained.tolist(), tokenizer))
    return ShownExample(pieces, len(is_trained), int(np.count_nonzero(is_trained)), is_running)


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
