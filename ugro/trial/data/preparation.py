"""Prepare a trial's data: split documents, tokenise them into a cache, lay them out in rows."""

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ugro.config import DataConfig, TaskConfig, TaskName
from ugro.errors import UserError, fault
from ugro.events.trial_report import DATA_PARTS
from ugro.trial.data.cache import create_once
from ugro.trial.data.documents import Skipped
from ugro.trial.data.labels import labels_of
from ugro.trial.data.layout import Part, lay_out
from ugro.trial.data.layout_of_units import lay_out_units
from ugro.trial.data.notes import notes
from ugro.trial.data.part_texts import PartTexts
from ugro.trial.data.reading import part_of_set, sources
from ugro.trial.data.rendering import render_document
from ugro.trial.data.split import PARTS, read_part, split_documents
from ugro.trial.data.stream import TrainingStream
from ugro.trial.data.tokenization import Examples, ExamplesSummary, Limit, write_examples

FORMAT = "5"  # version of the cache's file format
SUMMARY = "summary.json"
_, EVALUATION, _ = DATA_PARTS


@dataclass(frozen=True)
class Data:
    """Data of a trial; ``test`` is None without a test part."""

    train: Part
    evaluation: Part
    test: Part | None
    eval_sets: Mapping[str, Part]  # by name
    formats: Mapping[str, int]  # documents of each format, as recognised
    conversations: bool  # whether most training documents are conversations
    labels: tuple[str, ...]  # of texts that are classified, in the order of the model's outputs
    notes: tuple[str, ...]  # sentences about omitted or questionable data
    largest_token: int  # largest token id of all parts

    def fingerprints(self) -> dict[str, str]:
        """Return the digest of each part's documents by name; of evaluation sets with the part."""
        parts = zip(DATA_PARTS, (self.train, self.evaluation, self.test), strict=True)
        digests = {name: part.documents for name, part in parts if part is not None}
        if self.eval_sets:
            sets = [f"{name} {part.documents}" for name, part in sorted(self.eval_sets.items())]
            every = " ".join([self.evaluation.documents, *sets])
            digests[EVALUATION] = hashlib.blake2b(every.encode(), digest_size=16).hexdigest()
        return digests

    def summary(self) -> dict[str, Any]:
        """Return the counts of each part and format, and the notes, as plain values."""
        sets = {part_of_set(name): part for name, part in self.eval_sets.items()}
        parts = {"train": self.train, "eval": self.evaluation, "test": self.test, **sets}
        counts = {name: asdict(part.summary) for name, part in parts.items() if part is not None}
        return {
            "parts": counts,
            "formats": dict(self.formats),
            "conversations": self.conversations,
            "labels": list(self.labels),
            "notes": list(self.notes),
        }


def prepare(
    config: DataConfig,
    tokenizer: PreTrainedTokenizerBase,
    cache_dir: Path,
    stop_ids: tuple[int, ...] = (),
    task: TaskConfig | None = None,
    max_tokens: int | None = None,
) -> Data:
    """Read, split, tokenise and lay out the data; the tokenised examples are cached.

    Args:
        config: data configuration
        tokenizer: tokenizer of the base model
        cache_dir: cache of tokenised examples, keyed by files, configuration and tokenizer
        stop_ids: tokens that end a generation, from the model's generation config
        task: what the data are for; None: language modelling
        max_tokens: length of training, to which a stream is read

    Raises:
        UserError: the data cannot be read, a record is malformed, or a part is empty.
    """
    task = task or TaskConfig(TaskName.language_modeling)
    tokenizer = with_chat_template(tokenizer, config.chat_template)
    limit = Limit.of(config, task.name, max_tokens) if config.streaming and max_tokens else None
    folder = cache_dir / "examples" / _key(config, task.name, tokenizer, stop_ids, limit)
    create_once(folder, lambda draft: _write(config, task.name, tokenizer, stop_ids, limit, draft))
    summary = json.loads((folder / SUMMARY).read_text())
    lay = lay_out if task.name is TaskName.language_modeling else lay_out_units
    sets = {part_of_set(name): name for name in config.eval_sets}
    parts = {
        part: lay(config, "eval" if part in sets else part, Examples(folder / f"{part}.arrow"), one)
        for part, one in summary["parts"].items()
        if one["documents"]
    }
    conversations = summary["parts"]["train"]["conversations"]
    counts = {part: one["labels"] for part, one in summary["parts"].items()}
    return Data(
        labels=labels_of(task, counts),
        train=parts["train"],
        evaluation=parts["eval"],
        test=parts.get("test"),
        eval_sets={name: parts[part] for part, name in sets.items()},
        formats=sum((Counter(part["formats"]) for part in summary["parts"].values()), Counter()),
        conversations=2 * conversations > summary["parts"]["train"]["documents"],
        largest_token=max(part["largest_token"] for part in summary["parts"].values()),
        notes=tuple(notes(config, summary, {name: part.summary for name, part in parts.items()})),
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


def _key(
    config: DataConfig,
    task: TaskName,
    tokenizer: PreTrainedTokenizerBase,
    stop_ids: tuple[int, ...],
    limit: Limit | None,
) -> str:
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
    for part in (*parts, vocabulary, special, tokenizer.chat_template, stop_ids, task.name, limit):
        digest.update(str(part).encode() + b"\0")
    return digest.hexdigest()


def _write(
    config: DataConfig,
    task: TaskName,
    tokenizer: PreTrainedTokenizerBase,
    stop_ids: tuple[int, ...],
    limit: Limit | None,
    folder: Path,
) -> None:
    """Write the examples of all parts and their summary into a cache folder."""
    split = split_documents(config, task)
    refused = Skipped()  # by a chat template
    parts: dict[str, Any] = {}
    for part in (*PARTS, *map(part_of_set, config.eval_sets)):
        render = partial(render_document, tokenizer=tokenizer, stop_ids=stop_ids)
        held_out = part != "train"
        stream = TrainingStream(config, split, task) if limit and part == "train" else None
        documents = iter(stream) if stream else read_part(config, split, part, task)
        texts = PartTexts(config, documents, render, refused, held_out)
        written: ExamplesSummary = write_examples(
            texts, tokenizer, folder / f"{part}.arrow", limit if stream else None
        )
        if stream:
            split = stream.summary()
        parts[part] = {
            **asdict(written),
            "documents": texts.count,
            "formats": texts.formats,
            "conversations": texts.conversations,
            "labels": texts.labels,
            "identity": texts.identity(),
        }
    of_documents = ("parts", "held_out")
    summary = {key: value for key, value in asdict(split).items() if key not in of_documents}
    summary["added_by_weights"] = parts["train"]["documents"] - split.parts.count("train")
    summary["skipped"] += refused.count
    summary["first_skipped"] = split.first_skipped or refused.first
    (folder / SUMMARY).write_text(json.dumps({**summary, "parts": parts}, indent=1))
