"""Schema of the data."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

Source = Enum(
    "Source", ["pydocs", "text", "csv", "json", "jsonl", "parquet", "arrow", "hub", "mixture"]
)
RUNNING_TEXT = (Source.pydocs, Source.text)  # the others have records with columns
DATA_SETS = (Source.arrow, Source.hub)  # with a path and splits, not files
Packing = Enum("Packing", ["bfd", "wrapped", "none"])
TooLong = Enum("TooLong", ["truncate", "drop", "error"])
BadRecords = Enum("BadRecords", ["error", "skip"])


@dataclass
class ColumnsConfig:
    """Columns of the data that have other names than those of a known format."""

    text: str | None = None
    """Column with running text."""

    prompt: str | None = None
    """Column with the prompt, text or messages."""

    completion: str | None = None
    """Column with the completion, text or messages."""

    messages: str | None = None
    """Column with the messages of a conversation."""

    tools: str | None = None
    """Column with the tools of a conversation."""

    chosen: str | None = None
    """Column with the preferred completion, text or messages, for task=dpo."""

    rejected: str | None = None
    """Column with the other completion, text or messages, for task=dpo."""

    label: str | None = None
    """Column with the label of a text, for task=classification."""


@dataclass
class DataConfig:
    """The data, their splits, and how examples share rows."""

    source: Source = MISSING
    """Reader of the data."""

    sets: list[dict[str, Any]] = field(default_factory=list)
    """Data sets of data=mixture, each with its source, files or path, columns, templates, filter,
    a weight: how often its training documents are trained on in a pass, and max_examples: largest
    number of documents of its training files, drawn by split_seed."""

    eval_sets: dict[str, Any] = field(default_factory=dict)
    """Further evaluation sets by name, each with its source, files or path, columns, templates and
    filter: {math: {source: jsonl, eval_files: [math.jsonl]}}. They are measured at each evaluation,
    math_loss, and take part in objectives, constraints and early stopping by these names."""

    path: str | None = None
    """Hub id or folder of a data set; folder written by save_to_disk for data=arrow."""

    subset: str | None = None
    """Configuration name of the hub data set."""

    train_split: str = "train"
    """Split of the data set for training."""

    eval_split: str | None = None
    """Split for evaluation; null: hold out eval_fraction of the training documents."""

    test_split: str | None = None
    """Split for the final test; null: hold out test_fraction of the training documents."""

    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    """Columns with other names than those of a known format, {prompt: question}."""

    prompt: str | None = None
    """Template of the prompt, with columns in braces: Question: {question}; \\n is a line feed."""

    completion: str | None = None
    """Template of the completion, with columns in braces: {answer}; \\n is a line feed."""

    filter: str | None = None
    """Condition on the columns that a record must meet: score >= 3 and lang == 'en'. Expressions
    are those of constraints; in CSV files, text that is a number counts as one."""

    join_rows: bool = False
    """Treat rows of text as paragraphs of a continuous text instead of documents."""

    streaming: bool = False
    """Read training documents only as far as training.max_tokens needs, in the order of the data.
    Evaluation and test part have files or splits of their own."""

    train_files: list[str] = field(default_factory=list)
    """Files for training: paths or globs, at least one unless the data have a path."""

    eval_files: list[str] = field(default_factory=list)
    """Files for evaluation; none: hold out eval_fraction of the training documents."""

    test_files: list[str] = field(default_factory=list)
    """Files for the final test; none: hold out test_fraction of the training documents."""

    eval_fraction: float = MISSING
    """Share of the documents held out for evaluation. [share of characters]"""

    test_fraction: float = 0.1
    """Share of the documents held out for the final test, from 20 distinct documents on. [share of
    characters]"""

    split_seed: int = MISSING
    """Seed of the split and of subsets; independent of seed, so that all seeds are evaluated on the
    same text."""

    group_by: str | None = None
    """Column whose equal values keep records in the same part."""

    deduplicate: bool = False
    """Train once on a repeated record."""

    bad_records: BadRecords = BadRecords.error
    """Response to malformed records: error rejects the data, skip drops and counts them."""

    chat_template: str | None = None
    """File with a Jinja chat template; null: the tokenizer's own."""

    block_size: int = MISSING
    """Length of a row; of each of its two texts with task=dpo. [tokens]"""

    eval_block_size: int | None = None
    """Length of an evaluated row; null: block_size. [tokens]"""

    packing: Packing = MISSING
    """Row layout: bfd packs complete examples, wrapped fills rows and cuts documents, none pads
    each example."""

    too_long: TooLong = TooLong.truncate
    """Response to an example longer than a row, except with packing=wrapped."""

    max_train_examples: int | None = None
    """Largest number of training examples, drawn by split_seed; null: all. [records; rows of
    running text]"""

    max_eval_examples: int | None = None
    """Largest number of evaluation examples, drawn by split_seed; null: all. [records; rows of
    running text]"""

    max_test_examples: int | None = None
    """Largest number of test examples, drawn by split_seed; null: all. [records; rows of running
    text]"""

    max_train_blocks: int | None = None
    """Former name of max_train_examples; rejected with the new name."""

    max_eval_blocks: int | None = None
    """Former name of max_eval_examples; rejected with the new name."""
