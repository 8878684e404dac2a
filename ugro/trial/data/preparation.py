"""Prepare a trial's data: split documents, tokenise them into a cache, lay them out in rows."""

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ugro.config import BadRecords, DataConfig
from ugro.errors import UserError, fault
from ugro.events.trial_report import DATA_PARTS
from ugro.formatting import counted
from ugro.trial.data.cache import create_once
from ugro.trial.data.documents import Document, Skipped
from ugro.trial.data.layout import Part, PartSummary, lay_out
from ugro.trial.data.reading import sources
from ugro.trial.data.rendering import render_document
from ugro.trial.data.split import PARTS, read_part, split_documents
from ugro.trial.data.texts import Text
from ugro.trial.data.tokenization import Examples, ExamplesSummary, write_examples

FORMAT = "4"  # version of the cache's file format
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Data:
    """Data of a trial; ``test`` is None without a test part."""

    train: Part
    evaluation: Part
    test: Part | None
    formats: Mapping[str, int]  # documents of each format, as recognised
    conversations: bool  # whether most training documents are conversations
    notes: tuple[str, ...]  # sentences about omitted or questionable data
    largest_token: int  # largest token id of all parts

    def fingerprints(self) -> dict[str, str]:
        """Return the digest of each part's documents by name."""
        parts = zip(DATA_PARTS, (self.train, self.evaluation, self.test), strict=True)
        return {name: part.documents for name, part in parts if part is not None}

    def summary(self) -> dict[str, Any]:
        """Return the counts of each part and format, and the notes, as plain values."""
        parts = {"train": self.train, "eval": self.evaluation, "test": self.test}
        counts = {name: asdict(part.summary) for name, part in parts.items() if part is not None}
        return {
            "parts": counts,
            "formats": dict(self.formats),
            "conversations": self.conversations,
            "notes": list(self.notes),
        }


def prepare(
    config: DataConfig,
    tokenizer: PreTrainedTokenizerBase,
    cache_dir: Path,
    stop_ids: tuple[int, ...] = (),
) -> Data:
    """Read, split, tokenise and lay out the data; the tokenised examples are cached.

    Args:
        config: data configuration
        tokenizer: tokenizer of the base model
        cache_dir: cache of tokenised examples, keyed by files, configuration and tokenizer
        stop_ids: tokens that end a generation, from the model's generation config

    Raises:
        UserError: the data cannot be read, a record is malformed, or a part is empty.
    """
    tokenizer = with_chat_template(tokenizer, config.chat_template)
    folder = cache_dir / "examples" / _key(config, tokenizer, stop_ids)
    create_once(folder, lambda draft: _write(config, tokenizer, stop_ids, draft))
    summary = json.loads((folder / SUMMARY).read_text())
    parts = {
        part: lay_out(config, part, Examples(folder / f"{part}.arrow"), summary["parts"][part])
        for part in PARTS
        if summary["parts"][part]["documents"]
    }
    conversations = summary["parts"]["train"]["conversations"]
    return Data(
        train=parts["train"],
        evaluation=parts["eval"],
        test=parts.get("test"),
        formats=sum((Counter(part["formats"]) for part in summary["parts"].values()), Counter()),
        conversations=2 * conversations > summary["parts"]["train"]["documents"],
        largest_token=max(part["largest_token"] for part in summary["parts"].values()),
        notes=tuple(_notes(config, summary, {name: part.summary for name, part in parts.items()})),
    )


def with_chat_template(
    tokenizer: PreTrainedTokenizerBase, chat_template: str | None
) -> PreTrainedTokenizerBase:
    """Return the tokenizer with the chat template of ``data.chat_template``.

    Raises:
        UserError: the file cannot be read.
    """
    if chat_template is None:
        return tokenizer
    tokenizer = copy.copy(tokenizer)  # the original is cached for trials with other templates
    try:
        tokenizer.chat_template = Path(chat_template).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{fault('data.chat_template', chat_template, 'a file')} ({error})"
        ) from error
    return tokenizer


def _key(config: DataConfig, tokenizer: PreTrainedTokenizerBase, stop_ids: tuple[int, ...]) -> str:
    """Return the cache key: a digest of everything that affects tokenised examples."""
    plain = asdict(config)
    for later in ("block_size", "eval_block_size", "packing", "too_long", "chat_template"):
        plain.pop(later)
    plain = {key: value for key, value in plain.items() if not key.startswith("max_")}
    digest = hashlib.blake2b(digest_size=16)
    parts = [FORMAT, json.dumps(plain, sort_keys=True, default=str), *sources(config)]
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend else repr(sorted(tokenizer.get_vocab().items()))
    special = repr(tokenizer.special_tokens_map)
    for part in (*parts, vocabulary, special, tokenizer.chat_template, stop_ids):
        digest.update(str(part).encode() + b"\0")
    return digest.hexdigest()


def _write(
    config: DataConfig,
    tokenizer: PreTrainedTokenizerBase,
    stop_ids: tuple[int, ...],
    folder: Path,
) -> None:
    """Write the examples of all parts and their summary into a cache folder."""
    split = split_documents(config)
    skipped = Skipped(split.skipped, split.first_skipped)
    parts: dict[str, Any] = {}
    for part in PARTS:
        render = partial(render_document, tokenizer=tokenizer, stop_ids=stop_ids)
        held_out = part != "train"
        texts = _PartTexts(config, read_part(config, split, part), render, skipped, held_out)
        written: ExamplesSummary = write_examples(texts, tokenizer, folder / f"{part}.arrow")
        parts[part] = {
            **asdict(written),
            "documents": texts.count,
            "formats": texts.formats,
            "conversations": texts.conversations,
            "identity": texts.identity(),
        }
    summary = {key: value for key, value in asdict(split).items() if key != "parts"}
    summary["added_by_weights"] = parts["train"]["documents"] - split.parts.count("train")
    summary |= {"skipped": skipped.count, "first_skipped": skipped.first}
    (folder / SUMMARY).write_text(json.dumps({**summary, "parts": parts}, indent=1))


class _PartTexts:
    """Iterate over document index and text of a part; count and digest the documents.

    Attributes:
        count: documents read so far
        formats: documents of each format
        conversations: documents of messages

    Args:
        config: data configuration
        documents: documents of the part
        render: returns the texts of a document
        skipped: counts records that ``data.bad_records=skip`` skips
        keep_records: keep the record of each text, for metrics
    """

    def __init__(
        self,
        config: DataConfig,
        documents: Iterator[Document],
        render: Callable[[Document], list[Text]],
        skipped: Skipped,
        keep_records: bool,
    ) -> None:
        self.count = 0
        self.formats: Counter[str] = Counter()
        self.conversations = 0
        self._keep_records = keep_records
        self._skips = config.bad_records is BadRecords.skip
        self._documents = documents
        self._render = render
        self._skipped = skipped
        self._digest = hashlib.blake2b(digest_size=16)

    def __iter__(self) -> Iterator[tuple[int, Text]]:
        first: UserError | None = None
        for document in self._documents:
            try:
                texts = self._render(document)
            except UserError as error:  # refused by the chat template
                if not self._skips:
                    raise
                self._skipped.note(str(error))
                first = first or error
                continue
            self._digest.update(document.identity)
            self.formats[document.format] += 1
            self.conversations += document.is_conversation
            for text in texts:
                kept = replace(text, record=document.record) if self._keep_records else text
                yield self.count, kept
            self.count += 1
        if first is not None and not self.count:
            raise first

    def identity(self) -> str:
        """Return the digest of the documents read so far."""
        return self._digest.hexdigest()


def _notes(
    config: DataConfig, summary: dict[str, Any], parts: dict[str, PartSummary]
) -> Iterator[str]:
    """Yield a sentence for each kind of omitted or questionable data."""
    for name, part in parts.items():
        size = config.block_size if name == "train" else config.eval_block_size or config.block_size
        for count, unit, said in (
            (part.cut_examples, "examples", f"cut to {size} tokens, {part.cut_tokens:,} are lost"),
            (
                part.dropped_examples,
                "examples",
                f"longer than {size} tokens dropped, {part.dropped_tokens:,} tokens",
            ),
            (part.untrained, part.unit, "left out, where no token carries loss"),
            (part.not_drawn, part.unit, f"not used, by data.max_{name}_examples"),
        ):
            if count:
                yield f"{name}: {counted(count, unit.removesuffix('s'))} {said}"
        if straddling := summary["parts"][name]["straddling"]:
            yield (
                f"{name}: {counted(straddling, 'example')} with a token across the border of prompt"
                " and completion; at inference the prompt ends there: end prompts without a space"
            )
    if config.sets and (added := summary["added_by_weights"]):
        change = "repeated" if added > 0 else "left out"
        yield f"{counted(abs(added), 'training document')} {change} by the weights of data.sets"
    if summary["not_drawn"]:
        left_out = counted(summary["not_drawn"], "document")
        yield f"{left_out} left out by max_examples of data.sets"
    if summary["filtered"]:
        yield f"{counted(summary['filtered'], 'record')} left out by data.filter"
    if summary["skipped"]:
        skipped = counted(summary["skipped"], "malformed record")
        yield f"{skipped} skipped, the first: {summary['first_skipped']}"
    if summary["repeated"]:
        how = "used once" if config.deduplicate else "trained on each time they occur"
        yield f"{counted(summary['repeated'], 'repeated record')}, {how}"
    if summary["also_held_out"]:
        left_out = counted(summary["also_held_out"], "training record")
        yield f"{left_out} left out: also held out"
    if summary["evaluated_and_tested"]:
        yield f"{counted(summary['evaluated_and_tested'], 'test document')} evaluated on as well"
    if summary["near_duplicates"]:
        near = counted(summary["near_duplicates"], "held-out document")
        yield f"{near} equal to a training document except for punctuation, spaces or case"
    if "test" not in parts:
        yield "no test part: set data.test_fraction or data.test_files"
