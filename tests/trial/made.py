"""Small data parts built from texts in the tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ugro.config import BadRecords, DataConfig, Packing, Source, TooLong
from ugro.trial.data.layout import Part, lay_out
from ugro.trial.data.texts import Span, Text
from ugro.trial.data.tokenization import Examples, write_examples
from ugro.trial.model.random_llama import byte_tokenizer

EOS, PAD = 256, 257  # of the byte tokenizer, after the 256 bytes


def tokens(text: str) -> list[int]:
    """Tokenise by hand: the byte alphabet starts with printable ASCII, "!" is token 0."""
    return [ord(character) - ord("!") for character in text]


def sentencepiece_like() -> PreTrainedTokenizerFast:
    """Return a tokenizer like Llama 2's, with a ▁ before the text and for each space."""
    characters = sorted(set("▁:QAabcdefghijklmnopqrstuvwxyz0123456789+="))
    merges = [("▁", "y"), ("▁y", "e"), ("▁ye", "s"), ("▁", "n"), ("▁n", "o")]
    pieces = ["<unk>", "<s>", "</s>", *characters, *(one + other for one, other in merges)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def running(text: str) -> Text:
    """Return a document of running text."""
    return Text(text, (Span(0, len(text)),), running=True)


def record(prompt: str, completion: str) -> Text:
    """Return a prompt without loss and a completion with loss."""
    whole = prompt + completion
    return Text(whole, (Span(len(prompt), len(whole)),))


def data_config(**given: Any) -> DataConfig:
    """Return a data configuration; enumerations may be given by name."""
    names = {
        "source": Source,
        "packing": Packing,
        "too_long": TooLong,
        "bad_records": BadRecords,
    }
    plain = {"source": "jsonl", "eval_fraction": 0.5, "split_seed": 0, "packing": "bfd"}
    values = {**plain, "block_size": 32, **given}
    named = {
        key: kind[values[key]] for key, kind in names.items() if isinstance(values.get(key), str)
    }
    return DataConfig(**{**values, **named})


def examples_of(
    texts: Iterable[Text], folder: Path, tokenizer: PreTrainedTokenizerBase | None = None
) -> tuple[Examples, dict[str, Any]]:
    """Tokenise texts as a document each; return examples and their summary in the cache."""
    texts = list(texts)
    path = folder / f"{len(list(folder.iterdir()))}.arrow"
    written = write_examples(enumerate(texts), tokenizer or byte_tokenizer(), path)
    known = {"documents": len(texts), "fingerprint": written.fingerprint, "identity": "documents"}
    return Examples(path), known


def part_of(
    texts: Iterable[Text | str],
    folder: Path,
    packing: str = "bfd",
    part: str = "train",
    tokenizer: PreTrainedTokenizerBase | None = None,
    **given: Any,
) -> Part:
    """Lay out texts in rows; strings are running text."""
    made = [running(one) if isinstance(one, str) else one for one in texts]
    examples, known = examples_of(made, folder, tokenizer)
    return lay_out(data_config(packing=packing, **given), part, examples, known)
