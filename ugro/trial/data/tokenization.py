"""Tokenise texts into examples, stored in a memory-mapped Arrow file."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ugro.config import DataConfig, Packing, TaskName, TooLong
from ugro.errors import UserError, fault
from ugro.trial.data.texts import Prompt, Text

BATCH = 1000  # texts per tokeniser call and Arrow batch; even, as pairs of texts stay together

UNTRAINED, CONTENT, MARKUP = 0, 1, 2  # kind of a token in the loss

SCHEMA = pa.schema(
    {
        "input_ids": pa.list_(pa.int32()),
        "kinds": pa.list_(pa.int8()),  # UNTRAINED, CONTENT or MARKUP
        "content_bytes": pa.list_(pa.uint16()),  # UTF-8 bytes of target content per token
        "trained": pa.int64(),  # target tokens, except the first, which nothing predicts
        "running": pa.bool_(),  # running text
        "document": pa.int64(),  # index of the source document
        "label": pa.large_string(),  # of classified texts only
        # The fields of Prompt, of held-out parts only.
        "text": pa.large_string(),
        "special_tokens": pa.bool_(),
        "reference": pa.large_string(),
        "record": pa.large_string(),
    }
)
PROMPT = tuple(field.name for field in fields(Prompt))


@dataclass(frozen=True)
class Example:
    """Tokens of a text; arrays are [tokens]."""

    input_ids: NDArray[np.int32]
    kinds: NDArray[np.int8]
    content_bytes: NDArray[np.uint16]
    straddles: bool  # whether a token spans the border of prompt and completion


@dataclass(frozen=True)
class ExamplesSummary:
    """Summary of a file of examples.

    Attributes:
        fingerprint: digest of all tokens, their kinds and content bytes, and the labels
        straddling: number of examples with a token across the border of prompt and completion
        largest_token: largest token id; -1 without tokens
    """

    fingerprint: str
    straddling: int
    largest_token: int


@dataclass(frozen=True)
class Limit:
    """Number of tokens after which no more texts are read.

    Attributes:
        tokens: tokens that rows have to hold
        row: length of a row; None where texts are cut at its end and go on in the next
        drops: whether longer texts are dropped instead of truncated
        texts: number of consecutive texts that are used together or not at all
    """

    tokens: int
    row: int | None
    drops: bool
    texts: int

    @classmethod
    def of(cls, config: DataConfig, task: TaskName, tokens: int) -> "Limit":
        """Return the limit of a data configuration."""
        row = None if config.packing is Packing.wrapped else config.block_size
        texts = 2 if task is TaskName.dpo else 1
        return cls(tokens, row, config.too_long is TooLong.drop, texts)

    def usable(self, examples: Sequence[Example]) -> int:
        """Return the tokens of the examples that rows hold."""
        each = [self._usable(example) for example in examples]
        units = [each[at : at + self.texts] for at in range(0, len(each), self.texts)]
        return sum(sum(unit) for unit in units if all(unit))

    def _usable(self, example: Example) -> int:
        """Return the tokens of an example that a row holds; 0 if it is dropped."""
        length = len(example.input_ids)
        if self.row is None:
            return length
        if (length > self.row and self.drops) or not example.kinds[1 : self.row].any():
            return 0
        return min(length, self.row)


class Examples:
    """Examples of an Arrow file, read on access.

    Attributes:
        lengths: tokens of each example, int64 [examples]
        trained: target tokens of each example, int64 [examples]
        running: whether each example is running text, bool [examples]
        documents: document index of each example, int64 [examples]
        labels: label of each example, [examples]; null unless texts are classified
    """

    lengths: NDArray[np.int64]
    trained: NDArray[np.int64]
    running: NDArray[np.bool_]
    documents: NDArray[np.int64]
    labels: pa.ChunkedArray

    def __init__(self, path: Path) -> None:
        with pa.memory_map(str(path)) as mapped:
            table = pa.ipc.open_stream(mapped).read_all()
        self._columns = [
            [(chunk.offsets.to_numpy(), chunk.values.to_numpy()) for chunk in column.chunks]
            for column in map(table.column, ("input_ids", "kinds", "content_bytes"))
        ]
        offsets = [offsets for offsets, _ in self._columns[0]]
        self._first = np.cumsum([0, *(len(example) - 1 for example in offsets)])
        none = np.empty(0, dtype=np.int64)
        self.lengths = np.concatenate([none, *map(np.diff, offsets)]).astype(np.int64)
        self.trained = table.column("trained").to_numpy()
        self.running = table.column("running").to_numpy()
        self.documents = table.column("document").to_numpy()
        self.labels = table.column("label")
        self._prompts = [table.column(name) for name in PROMPT]

    def __len__(self) -> int:
        return len(self.lengths)

    def input_ids(self, example: int, start: int, end: int) -> NDArray[np.int32]:
        """Return the token ids of a slice of an example."""
        return cast(NDArray[np.int32], self._slice(0, example, start, end))

    def kinds(self, example: int, start: int, end: int) -> NDArray[np.int8]:
        """Return the token kinds of a slice of an example."""
        return cast(NDArray[np.int8], self._slice(1, example, start, end))

    def content_bytes(self, example: int, start: int, end: int) -> NDArray[np.uint16]:
        """Return the content bytes of the tokens of a slice of an example."""
        return cast(NDArray[np.uint16], self._slice(2, example, start, end))

    def prompt(self, example: int) -> Prompt:
        """Return an example of a held-out part as a task for generation."""
        return Prompt(*(column[example].as_py() for column in self._prompts))

    def _slice(self, column: int, example: int, start: int, end: int) -> Any:
        chunk = int(np.searchsorted(self._first, example, side="right")) - 1
        offsets, values = self._columns[column][chunk]
        begin = offsets[example - self._first[chunk]]
        return values[begin + start : begin + end]


def write_examples(
    texts: Iterable[tuple[int, Text]],
    tokenizer: PreTrainedTokenizerBase,
    path: Path,
    limit: Limit | None = None,
) -> ExamplesSummary:
    """Tokenise pairs of document index and text, streaming them into an Arrow file.

    With a limit, texts are read in batches until it is reached.
    """
    digest = hashlib.blake2b(digest_size=16)
    straddling, largest, usable = 0, -1, 0
    left = iter(texts)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as stream:
        while batch := list(islice(left, BATCH)):
            examples = tokenise([text for _, text in batch], tokenizer)
            for example, (_, text) in zip(examples, batch, strict=True):
                digest.update(len(example.input_ids).to_bytes(8, "little"))
                for array in (example.input_ids, example.kinds, example.content_bytes):
                    digest.update(array.tobytes())
                digest.update((text.label or "").encode())
                straddling += example.straddles
                largest = max(largest, int(example.input_ids.max(initial=-1)))
            stream.write_batch(_batch(examples, batch))
            if limit:
                usable += limit.usable(examples)
                if usable >= limit.tokens:
                    break
    return ExamplesSummary(digest.hexdigest(), straddling, largest)


def _batch(examples: Sequence[Example], texts: Sequence[tuple[int, Text]]) -> pa.RecordBatch:
    offsets = np.cumsum([0, *(len(example.input_ids) for example in examples)]).astype(np.int32)
    tokens = [
        pa.ListArray.from_arrays(
            offsets, np.concatenate([getattr(example, name) for example in examples])
        )
        for name in ("input_ids", "kinds", "content_bytes")
    ]
    trained = pa.array([np.count_nonzero(example.kinds[1:]) for example in examples], pa.int64())
    running = pa.array([text.running for _, text in texts])
    documents = pa.array([number for number, _ in texts], pa.int64())
    labels = pa.array([text.label for _, text in texts], pa.large_string())
    prompts = _prompts([text for _, text in texts])
    return pa.record_batch([*tokens, trained, running, documents, labels, *prompts], schema=SCHEMA)


def _prompts(texts: Sequence[Text]) -> Iterator[pa.Array]:
    """Yield the columns of the prompts."""
    plain = [asdict(prompt) if (prompt := text.prompt) else {} for text in texts]
    for name in PROMPT:
        yield pa.array([given.get(name) for given in plain], SCHEMA.field(name).type)


def tokenise(texts: Sequence[Text], tokenizer: PreTrainedTokenizerBase) -> list[Example]:
    """Tokenise texts and derive the target tokens from character offsets.

    The tokenizer's start token is prepended, and its end token appended as a target, unless a chat
    template wrote them. Texts with a label are tokenised as the tokenizer does by itself.

    Raises:
        UserError: the tokenizer returns no character offsets.
    """
    if not tokenizer.is_fast:
        allowed = "a model with a fast tokenizer, which returns character offsets"
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
    if text.end_token and ids and ids[-1] == eos and offsets[-1] == (0, 0):
        ids, offsets = ids[:-1], offsets[:-1]  # end token added by the tokenizer
    starts, ends = np.array(offsets, dtype=np.int64).reshape(-1, 2).T
    reached = np.maximum.accumulate(ends)
    begins = np.minimum(starts, np.concatenate([[0], reached])[:-1])  # includes white space
    # All tokens of a text with a label decide on it.
    kinds = np.full(len(ids), UNTRAINED if text.label is None else CONTENT, dtype=np.int8)
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
    """Count the UTF-8 bytes between the ends of consecutive tokens.

    Every byte is counted once, although some tokenizers exclude white space before a word from its
    offsets, and several tokens may share a character.
    """
    if not text.isascii():
        points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        sizes = 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)
        reached = np.concatenate([[0], np.cumsum(sizes)])[reached]
    return np.diff(reached, prepend=0)
