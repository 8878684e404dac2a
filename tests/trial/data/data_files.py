"""Data files, a counting tokenizer and a view of the cache, for tests of data preparation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from ugro.config import DataConfig
from ugro.trial.data.preparation import Data
from ugro.trial.data.rows import Rows
from ugro.trial.model.random_llama import END, PAD, byte_tokenizer

TOKENIZER = byte_tokenizer()
Make = Callable[..., DataConfig]


class CountingTokenizer(PreTrainedTokenizerFast):
    """The byte tokenizer with a count of tokenised texts."""

    texts = 0

    def __call__(self, texts: Any, **options: Any) -> Any:
        CountingTokenizer.texts += len(texts)
        return super().__call__(texts, **options)


def counting(eos: str = END) -> CountingTokenizer:
    backend = byte_tokenizer().backend_tokenizer
    CountingTokenizer.texts = 0
    return CountingTokenizer(tokenizer_object=backend, eos_token=eos, pad_token=PAD)


def line(one: Any) -> str:
    if isinstance(one, tuple):
        one = {"prompt": one[0], "completion": one[1]}
    return (
        one
        if isinstance(one, str) and one.startswith("{")
        else json.dumps({"text": one} if isinstance(one, str) else one)
    )


def rows(data: Data, part: str = "train") -> list[list[int]]:
    made = Rows(getattr(data, part))
    return [made[index].input_ids.tolist() for index in range(len(made))]


def folders(cache: Path) -> set[str]:
    return {path.name for path in (cache / "examples").iterdir() if path.is_dir()}


def character_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with another vocabulary: pairs of "a" are a single token."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate([*alphabet, "aa"])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "a")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=PAD)
