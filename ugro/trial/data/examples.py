"""Tokenise texts into examples, kept in an Arrow file that is mapped into memory."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ugro.errors import UserError, fault
from ugro.trial.data.texts import Text

BATCH = 1000  # texts tokenised at once, and written as one batch

UNTRAINED, CONTENT, MARKUP = 0, 1, 2  # what a token is to the loss

SCHEMA = pa.schema(
    {
        "input_ids": pa.list_(pa.int32()),
        "kinds": pa.list_(pa.int8()),  # UNTRAINED, CONTENT or MARKUP
        "content_bytes": pa.list_(pa.uint16()),  # UTF-8 bytes of the target that a token stands for
        "trained": pa.int64(),  # tokens that carry loss, the first one aside: nothing predicts it
        "running": pa.bool_(),  # running text
        "document": pa.int64(),  # which one it comes from
    }
)


@dataclass(frozen=True)
class Example:
    """The tokens of one text; the arrays are [tokens] each."""

    input_ids: NDArray[np.int32]
    kinds: NDArray[np.int8]
    content_bytes: NDArray[np.uint16]
    straddles: bool  # a token holds the end of a prompt and the beginning of its completion


@dataclass(frozen=True)
class Written:
    """What is known of a file of examples.

    Attributes:
        fingerprint: a digest of all tokens, what carries loss and the bytes that it stands for
        straddling: examples in which a token reaches across the border of prompt and completion
        largest_token: the greatest token id; -1 without a token
    """

    fingerprint: str
    straddling: int
    largest_token: int


class Examples:
    """Examples of an Arrow file, read as they are needed.

    Attributes:
        lengths: tokens of each example, int64 [examples]
        trained: tokens of each that carry loss, int64 [examples]
        running: whether each is running text, bool [examples]
        documents: which document each comes from, int64 [examples]
    """

    lengths: NDArray[np.int64]
    trained: NDArray[np.int64]
    running: NDArray[np.bool_]
    documents: NDArray[np.int64]

    def __init__(self, path: Path) -> None:
        with pa.memory_map(str(path)) as mapped:
            table = pa.ipc.open_stream(mapped).read_all()
        self._columns = [
            [(chunk.offsets.to_numpy(), chunk.values.to_numpy()) for chunk in column.chunks]
            for column in map(table.column, ("input_ids", "kinds", "content_bytes"))
        ]
        offsets = [offsets for offsets, _ in self._columns[0]]
        self._first = np.cumsum([0, *(len(one) - 1 for one in offsets)])
        none = np.empty(0, dtype=np.int64)
        self.lengths = np.concatenate([none, *map(np.diff, offsets)]).astype(np.int64)
        self.trained = table.column("trained").to_numpy()
        self.running = table.column("running").to_numpy()
        self.documents = table.column("document").to_numpy()

    def __len__(self) -> int:
        return len(self.lengths)

    def input_ids(self, example: int, start: int, end: int) -> NDArray[np.int32]:
        """Return the token ids of a stretch of an example."""
        return cast(NDArray[np.int32], self._slice(0, example, start, end))

    def kinds(self, example: int, start: int, end: int) -> NDArray[np.int8]:
        """Return what the tokens of a stretch of an example are to the loss."""
        return cast(NDArray[np.int8], self._slice(1, example, start, end))

    def content_bytes(self, example: int, start: int, end: int) -> NDArray[np.uint16]:
        """Return how many bytes of the target the tokens of a stretch stand for."""
        return cast(NDArray[np.uint16], self._slice(2, example, start, end))

    def _slice(self, column: int, example: int, start: int, end: int) -> Any:
        chunk = int(np.searchsorted(self._first, example, side="right")) - 1
        offsets, values = self._columns[column][chunk]
        begin = offsets[example - self._first[chunk]]
        return values[begin + start : begin + end]


def write_examples(
    texts: Iterable[tuple[int, Text]], tokenizer: PreTrainedTokenizerBase, path: Path
) -> Written:
    """Tokenise texts, each with its document's number, into an Arrow file; keep none in memory."""
    digest = hashlib.blake2b(digest_size=16)
    straddling, largest = 0, -1
    left = iter(texts)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as stream:
        while batch := list(islice(left, BATCH)):
            examples = tokenise([text for _, text in batch], tokenizer)
            for one in examples:
                digest.update(len(one.input_ids).to_bytes(8, "little"))
                for array in (one.input_ids, one.kinds, one.content_bytes):
                    digest.update(array.tobytes())
                straddling += one.straddles
                largest = max(largest, int(one.input_ids.max(initial=-1)))
            stream.write_batch(_batch(examples, batch))
    return Written(digest.hexdigest(), straddling, largest)


def _batch(examples: Sequence[Example], texts: Sequence[tuple[int, Text]]) -> pa.RecordBatch:
    offsets = np.cumsum([0, *(len(one.input_ids) for one in examples)]).astype(np.int32)
    tokens = [
        pa.ListArray.from_arrays(offsets, np.concatenate([getattr(one, name) for one in examples]))
        for name in ("input_ids", "kinds", "content_bytes")
    ]
    trained = pa.array([np.count_nonzero(one.kinds[1:]) for one in examples], pa.int64())
    running = pa.array([text.running for _, text in texts])
    documents = pa.array([number for number, _ in texts], pa.int64())
    return pa.record_batch([*tokens, trained, running, documents], schema=SCHEMA)


def tokenise(texts: Sequence[Text], tokenizer: PreTrainedTokenizerBase) -> list[Example]:
    """Tokenise each text as one, and find by the offsets which tokens carry loss.

    The tokenizer's own start token opens a text, its end token closes it with loss, unless a chat
    template has written them.

    Raises:
        UserError: the tokenizer does not say which characters its tokens stand for.
    """
    if not tokenizer.is_fast:
        allowed = "a model with a fast tokenizer: this one tells no character offsets"
        raise UserError(fault("model.path", tokenizer.name_or_path, allowed))
    examples: dict[int, Example] = {}
    for special in (True, False):
        some = [index for index, text in enumerate(texts) if text.special_tokens is special]
        if some:
            encoded = tokenizer(
                [texts[index].text for index in some],
                add_special_tokens=special,
                return_offsets_mapping=True,
                verbose=False,
            )
            for index, ids, offsets in zip(
                some, encoded["input_ids"], encoded["offset_mapping"], strict=True
            ):
                examples[index] = _example(texts[index], ids, offsets, tokenizer.eos_token_id)
    return [examples[index] for index in range(len(texts))]


def _example(text: Text, ids: list[int], offsets: list[tuple[int, int]], eos: int) -> Example:
    if text.special_tokens and ids and ids[-1] == eos and offsets[-1] == (0, 0):
        ids, offsets = ids[:-1], offsets[:-1]  # the tokenizer's own end token
    starts, ends = np.array(offsets, dtype=np.int64).reshape(-1, 2).T
    reached = np.maximum.accumulate(ends)
    begins = np.minimum(starts, np.concatenate([[0], reached])[:-1])  # white space included
    kinds = np.zeros(len(ids), dtype=np.int8)
    straddles = False
    for span in text.spans:
        inside = (starts >= span.start) & (starts < span.end) & (ends > starts)
        kinds[inside] = CONTENT if span.content else MARKUP
        straddles |= bool(((begins < span.start) & (ends > span.start) & span.content).any())
    content_bytes = np.where(kinds == CONTENT, _bytes(text.text, reached), 0)
    if text.end_token and not (ids and ids[-1] == eos):
        ids = [*ids, eos]
        kinds = np.append(kinds, np.int8(MARKUP))
        content_bytes = np.append(content_bytes, 0)
    most = np.iinfo(np.uint16).max
    return Example(
        np.array(ids, dtype=np.int32),
        kinds,
        np.minimum(content_bytes, most).astype(np.uint16),
        straddles,
    )


def _bytes(text: str, reached: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the UTF-8 bytes up to the end of each token from the end of the one before.

    Some tokenizers leave white space before a word out of its offsets, and several tokens may share
    one character: so every byte is counted once.
    """
    if not text.isascii():
        points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        sizes = 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)
        reached = np.concatenate([[0], np.cumsum(sizes)])[reached]
    return np.diff(reached, prepend=0)
