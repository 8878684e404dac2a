"""What may be configured of a trial: model, adapter, data, training, what is measured."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

Bias = Enum("Bias", ["none", "all", "lora_only"])
Dtype = Enum("Dtype", ["auto", "fp32", "fp16", "bf16"])
Source = Enum("Source", ["pydocs", "hub", "text", "jsonl"])
Packing = Enum("Packing", ["bfd", "wrapped", "none"])
TooLong = Enum("TooLong", ["truncate", "drop", "error"])
BadRecords = Enum("BadRecords", ["error", "skip"])
# transformers.SchedulerType, less those that need arguments of their own.
LRScheduler = Enum(
    "LRScheduler",
    ["linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt", "polynomial"],
)


@dataclass
class RandomLlamaConfig:
    """The shape of a randomly initialised Llama with a byte-level tokenizer."""

    hidden_size: int = MISSING
    intermediate_size: int = MISSING
    num_hidden_layers: int = MISSING
    num_attention_heads: int = MISSING
    num_key_value_heads: int = MISSING
    max_position_embeddings: int = MISSING
    seed: int = MISSING  # of the base model's weights; the trial's own seed does not change them


@dataclass
class ModelConfig:
    """The base model: a hub id, a folder, a GGUF file or a random Llama."""

    path: str | None = None  # hub id or folder
    revision: str | None = None  # branch, tag or commit of a hub model
    package: str | None = None  # installed Python package that ships gguf_file
    gguf_file: str | None = None  # inside the package, or inside path
    random_llama: RandomLlamaConfig | None = None  # instead of path
    trust_remote_code: bool = False
    # Names that lora.target_modules may use; null: known only once the model is loaded.
    linear_modules: list[str] | None = None


@dataclass
class LoraConfig:
    """The adapter, in PEFT's terms."""

    r: int = MISSING
    alpha: float = MISSING
    alpha_ratio: float = MISSING  # alpha / r, where alpha is not set itself
    dropout: float = MISSING
    target_modules: Any = MISSING  # a list of module names, or all-linear
    bias: Bias = MISSING
    modules_to_save: list[str] | None = None
    use_rslora: bool = MISSING
    use_dora: bool = MISSING
    init_lora_weights: Any = MISSING  # true, false or a name that PEFT knows


@dataclass
class DataConfig:
    """The data, how they are split, and how examples share rows."""

    source: Source = MISSING
    path: str | None = None  # hub id or folder of a data set
    subset: str | None = None  # the hub data set's configuration name
    train_split: str = "train"
    eval_split: str | None = None  # null: hold out eval_fraction of the training documents
    test_split: str | None = None  # null: hold out test_fraction of the training documents
    text_column: str = "text"
    join_rows: bool = False  # rows are paragraphs of one running text, not documents
    train_files: list[str] = field(default_factory=list)  # paths or globs
    eval_files: list[str] = field(default_factory=list)  # none: hold out eval_fraction
    test_files: list[str] = field(default_factory=list)  # none: hold out test_fraction
    eval_fraction: float = MISSING  # share of the documents' characters
    test_fraction: float = 0.1  # the same; held out where there are 20 distinct documents or more
    split_seed: int = MISSING  # apart from seed, so that all seeds are evaluated on the same text
    group_by: str | None = None  # a column; records that share its value stay on one side
    deduplicate: bool = False  # train once on a record that is repeated
    bad_records: BadRecords = BadRecords.error  # skip: leave malformed ones out, count and say them
    chat_template: str | None = None  # a file; null: the tokenizer's own
    block_size: int = MISSING  # tokens of a row
    eval_block_size: int | None = None  # of a row that is evaluated; null: block_size
    packing: Packing = MISSING
    too_long: TooLong = TooLong.truncate  # an example longer than a row, where rows are not filled
    # Drawn by split_seed. An example is a record; of running text, a row.
    max_train_examples: int | None = None
    max_eval_examples: int | None = None
    max_test_examples: int | None = None
    # Former names, refused with the new one.
    max_train_blocks: int | None = None
    max_eval_blocks: int | None = None


@dataclass
class TrainingConfig:
    """How the adapter is trained, in transformers' terms."""

    learning_rate: float = MISSING
    lr_scheduler_type: LRScheduler = MISSING
    warmup_ratio: float = MISSING  # share of the optimizer steps
    weight_decay: float = MISSING
    max_grad_norm: float = MISSING
    batch_size: int = MISSING  # rows a forward pass
    gradient_accumulation_steps: int = MISSING  # forward passes an optimizer step
    eval_batch_size: int = MISSING  # rows
    # How long: the first of these that is set. Optimizer steps; tokens; passes over the data.
    max_steps: int | None = None
    max_tokens: int | None = None
    epochs: float | None = None
    eval_steps: float = MISSING  # optimizer steps; below 1: a share of all steps
    early_stopping_patience: int | None = None  # evaluations without a new best
    dtype: Dtype = MISSING
    gradient_checkpointing: bool = MISSING


@dataclass
class LatencyConfig:
    """How latency_ms is measured, where an objective or a constraint asks for it."""

    prompt_tokens: int = MISSING
    new_tokens: int = MISSING
    batch_size: int = MISSING  # prompts at once
    warmup: int = MISSING  # generations that are not timed
    repeats: int = MISSING  # generations that are; the median counts
