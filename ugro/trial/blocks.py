"""What does the model read? Blocks of tokens, packed without padding, cached on disk by content."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from ugro.config import DataConfig
from ugro.errors import UserError
from ugro.trial.documents import Document, split_documents

IGNORED = -100  # the label of tokens that carry no loss


@dataclass(frozen=True)
class Blocks(Dataset[dict[str, Tensor]]):
    """Tokens and labels, int32 [blocks, block_size] each; labels of given text are ``IGNORED``."""

    input_ids: Tensor
    labels: Tensor
    fingerprint: str

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {
            "input_ids": self.input_ids[index].long(),
            "labels": self.labels[index].long(),
        }

    def first(self, count: int | None) -> "Blocks":
        """The first ``count`` blocks, or all of them."""
        if count is None or count >= len(self):
            return self
        return Blocks(self.input_ids[:count], self.labels[:count], f"{self.fingerprint}:{count}")


def train_and_eval_blocks(
    config: DataConfig, tokenizer: PreTrainedTokenizerBase, cache_dir: Path
) -> tuple[Blocks, Blocks]:
    """The blocks to train on and those to evaluate on, from the cache if they were made before.

    Raises:
        UserError: the data cannot be read, or does not fill one block on each side.
    """
    split = split_documents(config, tokenizer)
    sides = []
    for name, documents, most in (
        ("train", split.train, config.max_train_blocks),
        ("evaluation", split.evaluation, config.max_eval_blocks),
    ):
        blocks = _cached(documents, tokenizer, config.block_size, cache_dir / "blocks")
        if not len(blocks):
            given = f"data.block_size: {config.block_size} given"
            raise UserError(f"{given}, but the {name} data does not fill one such block")
        used = blocks.first(most)
        if not (used.labels[:, 1:] != IGNORED).any():
            raise UserError(f"data: the {name} blocks hold prompts only, no token to learn from")
        sides.append(used)
    return sides[0], sides[1]


def _cached(
    documents: Iterable[Document], tokenizer: PreTrainedTokenizerBase, block_size: int, folder: Path
) -> Blocks:
    fingerprint = _fingerprint(documents, tokenizer, block_size)
    path = folder / f"{fingerprint}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                input_ids, labels = pack(documents, tokenizer, block_size)
                draft = path.with_suffix(".draft")
                save_file({"input_ids": input_ids, "labels": labels}, draft)
                os.replace(draft, path)
    tensors = load_file(path)
    return Blocks(tensors["input_ids"], tensors["labels"], fingerprint)


def pack(
    documents: Iterable[Document], tokenizer: PreTrainedTokenizerBase, block_size: int
) -> tuple[Tensor, Tensor]:
    """All documents' tokens one after the other, cut every ``block_size``; the rest is dropped.

    Returns:
        Input ids and labels, int32 [blocks, block_size] each.
    """
    ids: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for document in documents:
        for tokens, trained in _tokenised(document, tokenizer):
            piece = np.asarray(tokens, dtype=np.int32)
            ids.append(piece)
            labels.append(piece if trained else np.full_like(piece, IGNORED))
    return _cut(ids, block_size), _cut(labels, block_size)


def _cut(pieces: list[np.ndarray], block_size: int) -> Tensor:
    stream = np.concatenate([np.empty(0, dtype=np.int32), *pieces])
    whole = len(stream) // block_size * block_size
    return torch.from_numpy(stream[:whole].reshape(-1, block_size))


def _tokenised(
    document: Document, tokenizer: PreTrainedTokenizerBase
) -> Iterable[tuple[list[int], bool]]:
    """Tokens of each segment and whether they carry loss.

    The tokenizer's own start-of-text token opens a document and its end token closes it, except
    where a chat template has written them already. Segments are tokenised apart, so that no token
    straddles prompt and completion.
    """
    for index, segment in enumerate(document.segments):
        special = index == 0 and not document.rendered
        yield _ids(tokenizer, segment.text, special), segment.trained
    if not document.rendered:
        assert tokenizer.eos_token_id is not None
        yield [tokenizer.eos_token_id], True


def _ids(tokenizer: PreTrainedTokenizerBase, text: str, special: bool) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
    ends_itself = special and ids and ids[-1] == tokenizer.eos_token_id
    return ids[:-1] if ends_itself else ids


def _fingerprint(
    documents: Iterable[Document], tokenizer: PreTrainedTokenizerBase, block_size: int
) -> str:
    """Of everything that decides the blocks: text, what carries loss, tokenizer, block size."""
    digest = hashlib.blake2b(digest_size=16)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend else repr(sorted(tokenizer.get_vocab().items()))
    for part in (vocabulary, repr(tokenizer.special_tokens_map), repr(block_size)):
        digest.update(part.encode() + b"\0")
    for document in documents:
        digest.update(f"document {document.rendered}\0".encode())
        for segment in document.segments:
            text = segment.text.encode()
            digest.update(f"segment {segment.trained} {len(text)}\0".encode() + text)
    return digest.hexdigest()
