"""Schema of a trial: model, adapter, data, training, latency measurement."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

Bias = Enum("Bias", ["none", "all", "lora_only"])
Dtype = Enum("Dtype", ["auto", "fp32", "fp16", "bf16"])
Source = Enum(
    "Source", ["pydocs", "text", "csv", "json", "jsonl", "parquet", "arrow", "hub", "mixture"]
)
RUNNING_TEXT = (Source.pydocs, Source.text)  # the others have records with columns
DATA_SETS = (Source.arrow, Source.hub)  # with a path and splits, not files
Packing = Enum("Packing", ["bfd", "wrapped", "none"])
TooLong = Enum("TooLong", ["truncate", "drop", "error"])
BadRecords = Enum("BadRecords", ["error", "skip"])
# transformers.SchedulerType without reduce_lr_on_plateau and greedy, which follow the evaluations:
# weights would depend on training.eval_steps.
LRScheduler = Enum(
    "LRScheduler",
    [
        "linear",
        "cosine",
        "constant",
        "constant_with_warmup",
        "inverse_sqrt",
        "polynomial",
        "cosine_with_restarts",
        "cosine_with_min_lr",
        "cosine_warmup_with_min_lr",
        "warmup_stable_decay",
    ],
)


@dataclass
class RandomLlamaConfig:
    """A randomly initialised Llama with a byte-level tokenizer."""

    hidden_size: int = MISSING
    """Width of the hidden states."""

    intermediate_size: int = MISSING
    """Width of the MLP."""

    num_hidden_layers: int = MISSING
    """Number of transformer layers."""

    num_attention_heads: int = MISSING
    """Number of attention heads."""

    num_key_value_heads: int = MISSING
    """Number of key and value heads."""

    max_position_embeddings: int = MISSING
    """Longest row that the model accepts. [tokens]"""

    seed: int = MISSING
    """Seed of the base model's weights, independent of the trial's seed."""


@dataclass
class ModelConfig:
    """The base model: a hub id, a folder, a GGUF file or a random Llama."""

    path: str | None = None
    """Hub id, or a folder written by save_pretrained."""

    revision: str | None = None
    """Branch, tag or commit of a hub model; null: the default branch."""

    package: str | None = None
    """Installed Python package that ships gguf_file."""

    gguf_file: str | None = None
    """GGUF file inside package, or inside path."""

    random_llama: RandomLlamaConfig | None = None
    """Shape of a random Llama, used instead of path."""

    trust_remote_code: bool = False
    """Allow Python code from the model's repository to run."""

    attn_implementation: str | None = None
    """Attention in trials, by its name in transformers: eager, sdpa, flash_attention_2,
    flex_attention, ...; null: transformers' choice, sdpa where the model has it."""

    liger_kernel: bool = False
    """Use Liger's kernels for norms, MLPs and rotary embeddings, on a GPU."""

    linear_modules: list[str] | None = None
    """Module names allowed in lora.target_modules; null: checked once the model is loaded."""


@dataclass
class LoraConfig:
    """The adapter, in PEFT's terms."""

    r: int = MISSING
    """Rank of the update matrices."""

    alpha: float = MISSING
    """Scaling numerator: the update is scaled by alpha / r. By default r times alpha_ratio."""

    alpha_ratio: float = MISSING
    """alpha / r, where alpha is not set. Searching the ratio instead of alpha keeps the best
    learning rate in place when r changes."""

    dropout: float = MISSING
    """Dropout probability of the adapter's input."""

    target_modules: Any = MISSING
    """Modules with an adapter: all-linear, or a list of module names, [q_proj,v_proj]."""

    bias: Bias = MISSING
    """Bias parameters that are trained."""

    modules_to_save: list[str] | None = None
    """Modules trained in full beside the adapter, [embed_tokens]; null: none."""

    use_rslora: bool = MISSING
    """Scale by alpha / sqrt(r) instead of alpha / r, https://arxiv.org/abs/2312.03732."""

    use_dora: bool = MISSING
    """Decompose weights into magnitude and direction, https://arxiv.org/abs/2402.09353."""

    init_lora_weights: Any = MISSING
    """Initialisation: true (B = 0), false, gaussian, orthogonal, olora, pissa, pissa_niter_N, or
    eva: by the main directions of each module's training inputs, https://arxiv.org/abs/2410.07170."""

    eva_rho: float = 1.0
    """Largest rank of a module with eva, as a multiple of r; above 1, rank moves to the modules
    whose inputs have more directions."""

    rank_pattern: dict[str, int] = field(default_factory=dict)
    """Other ranks than r, by the end of a module's name or a regular expression for it:
    {q_proj: 8}."""

    alpha_pattern: dict[str, float] = field(default_factory=dict)
    """Other values than alpha, by the end of a module's name or a regular expression for it."""

    layers_to_transform: list[int] | None = None
    """Numbers of the layers with an adapter, from 0; null: all."""

    target_parameters: list[str] = field(default_factory=list)
    """Parameters with an adapter that are no modules, beside those that target_modules names:
    [experts.down_proj]."""

    loraplus_lr_ratio: float | None = None
    """Learning rate of B as a multiple of that of A, training.learning_rate; null: the same.
    https://arxiv.org/abs/2402.12354."""


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


@dataclass
class TrainingConfig:
    """How the adapter is trained, in transformers' terms."""

    learning_rate: float = MISSING
    """Peak learning rate."""

    optim: str = "adamw_torch_fused"
    """Optimizer, by its name in transformers: adamw_torch_fused, adafactor, sgd, adamw_8bit, ..."""

    adam_beta1: float = 0.9
    """Decay of the first moment of the gradients, in optimizers with betas."""

    adam_beta2: float = 0.999
    """Decay of the second moment of the gradients, in optimizers with betas."""

    adam_epsilon: float = 1e-8
    """Added to the denominator of an update, in optimizers with betas."""

    lr_scheduler_type: LRScheduler = MISSING
    """Learning rate schedule after warm-up."""

    lr_scheduler_kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of the schedule, in transformers' terms: {min_lr_rate: 0.1} for cosine_with_min_lr,
    {num_decay_steps: 20} for warmup_stable_decay, {num_cycles: 3} for cosine_with_restarts."""

    warmup_ratio: float = MISSING
    """Length of the warm-up. [share of the optimizer steps]"""

    weight_decay: float = MISSING
    """Weight decay of the optimizer."""

    max_grad_norm: float = MISSING
    """Gradients are clipped to this norm."""

    label_smoothing: float = 0.0
    """Share of a target's probability that is spread over all tokens or labels, in training only,
    https://arxiv.org/abs/1512.00567. [share]"""

    neftune_noise_alpha: float | None = None
    """Scale of the noise added to embeddings in training, https://arxiv.org/abs/2310.05914; null:
    none."""

    batch_size: int = MISSING
    """Rows per forward pass. [rows]"""

    gradient_accumulation_steps: int = MISSING
    """Forward passes per optimizer step."""

    eval_batch_size: int = MISSING
    """Rows per forward pass of an evaluation. [rows]"""

    max_steps: int | None = None
    """Length of training; takes precedence over max_tokens and epochs. [optimizer steps]"""

    max_tokens: int | None = None
    """Length of training without padding; takes precedence over epochs. [tokens]"""

    epochs: float | None = None
    """Length of training, where neither max_steps nor max_tokens is set. [passes over the rows]"""

    eval_steps: float = MISSING
    """Distance between evaluations; below 1: a share of all steps. [optimizer steps]"""

    early_stopping_patience: int | None = None
    """End training after this many evaluations without a new best; null: never."""

    dtype: Dtype = MISSING
    """Precision of the base model; auto: bf16 or fp16 on a GPU, fp32 on a CPU."""

    gradient_checkpointing: bool = MISSING
    """Recompute activations in the backward pass: less memory, a third slower."""

    extra: dict[str, Any] = field(default_factory=dict)
    """Further arguments of transformers' TrainingArguments, by name: {optim_args: momentum=0.9}."""


@dataclass
class LatencyConfig:
    """How latency_ms is measured, where an objective or a constraint uses it."""

    prompt_tokens: int = MISSING
    """Length of the prompts. [tokens]"""

    new_tokens: int = MISSING
    """Length of the generated text. [tokens]"""

    batch_size: int = MISSING
    """Prompts per generation."""

    warmup: int = MISSING
    """Generations before the timed ones."""

    repeats: int = MISSING
    """Timed generations; latency_ms is their median."""
