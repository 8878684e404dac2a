"""What may be configured? Every key, its type and its unit; the defaults live in ``conf/``."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ugro.errors import UserError

Bias = Enum("Bias", ["none", "all", "lora_only"])
Dtype = Enum("Dtype", ["auto", "fp32", "fp16", "bf16"])
Source = Enum("Source", ["pydocs", "hub", "text", "jsonl"])
# transformers.SchedulerType, less those that need arguments of their own.
LRScheduler = Enum(
    "LRScheduler",
    ["linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt", "polynomial"],
)


Direction = Enum("Direction", ["minimize", "maximize"])
Mode = Enum("Mode", ["scalarized", "chebyshev", "pareto"])
Resource = Enum("Resource", ["tokens_seen", "step", "seconds"])
Keep = Enum("Keep", ["best_and_last", "best", "all", "none"])


@dataclass
class StudyConfig:
    """Which study a trial belongs to, what it begins with and when it ends."""

    name: str = MISSING
    dir: str = MISSING
    baseline: bool = (
        MISSING  # trial 0 is the configuration as it is, where a named space is searched
    )
    enqueue: list[dict[str, Any]] = field(default_factory=list)  # run first: key to value
    warm_start: list[str] = field(default_factory=list)  # names or folders of earlier studies
    warm_start_trials: int = MISSING  # the best of each
    allow_duplicates: bool = MISSING  # a configuration may be run twice
    keep_checkpoints: Keep = MISSING  # of a finished trial; a pruned one keeps none
    # Limits; what is in flight then ends at its next report.
    max_trials: int | None = None
    max_seconds: float | None = None
    max_tokens: int | None = None
    target: float | None = None  # of the first objective
    dry_run: bool = MISSING  # print the plan, launch nothing


@dataclass
class SchedulerConfig:
    """A trial scheduler: it tells which trials go on."""

    _target_: str = MISSING
    time_attr: Resource = MISSING  # what rungs are measured in


@dataclass
class StoppingConfig(SchedulerConfig):
    """A trial scheduler that stops trials."""

    grace_period: float = MISSING  # none is stopped before; below 1: a share of a trial's length


@dataclass
class RungsConfig(StoppingConfig):
    """A trial scheduler with rungs."""

    max_t: float | None = None  # null: a trial's length
    reduction_factor: float = MISSING


@dataclass
class AshaConfig(RungsConfig):
    """Asynchronous successive halving, with one bracket or several."""

    brackets: int = MISSING
    stop_last_trials: bool = MISSING


@dataclass
class AdaptiveAshaConfig(RungsConfig):
    """ASHA with a grace period that adapts."""

    min_correlation: float = MISSING
    min_pairs: int = MISSING


@dataclass
class MedianConfig(StoppingConfig):
    """Stops what is worse than the median of the others."""

    min_samples_required: int = MISSING
    min_time_slice: float = MISSING
    hard_stop: bool = MISSING


@dataclass
class StoppersConfig:
    """What ends a trial whatever the scheduler says."""

    max_tokens: int | None = None
    max_seconds: float | None = None  # since it was started, loading included
    kill_after_seconds: float = MISSING  # beyond max_seconds without a report: it hangs
    plateau_patience: int | None = None  # reports without an improvement
    plateau_min_delta: float = MISSING  # nats
    divergence_factor: float | None = None  # times the untrained model's loss


@dataclass
class ObjectiveConfig:
    """One measured number and how it counts."""

    direction: Direction = MISSING
    weight: float = 1.0
    # Reference points of chebyshev, in the metric's unit.
    best: float | None = None
    worst: float | None = None


@dataclass
class ObjectivesConfig:
    """What makes one trial better than another."""

    mode: Mode = MISSING
    metrics: dict[str, ObjectiveConfig] = field(default_factory=dict)


@dataclass
class ConstraintsConfig:
    """What a configuration or its results must satisfy."""

    expressions: list[str] = field(default_factory=list)


@dataclass
class LatencyConfig:
    """How latency_ms is measured, where an objective or a constraint asks for it."""

    prompt_tokens: int = MISSING
    new_tokens: int = MISSING
    batch_size: int = MISSING  # prompts at once
    warmup: int = MISSING  # generations that are not timed
    repeats: int = MISSING  # generations that are; the median counts


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
    """The data, how it is cut into blocks, and what is held out for evaluation."""

    source: Source = MISSING
    path: str | None = None  # hub id or folder of a data set
    subset: str | None = None  # the hub data set's configuration name
    train_split: str = "train"
    eval_split: str | None = None  # null: hold out eval_fraction of the training documents
    text_column: str = "text"
    join_rows: bool = False  # rows are paragraphs of one running text, not documents
    train_files: list[str] = field(default_factory=list)  # paths or globs
    eval_files: list[str] = field(default_factory=list)  # none: hold out eval_fraction
    eval_fraction: float = MISSING  # share of the documents' characters
    split_seed: int = MISSING  # apart from seed, so that all seeds evaluate on the same blocks
    block_size: int = MISSING  # tokens
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
    batch_size: int = MISSING  # blocks a forward pass
    gradient_accumulation_steps: int = MISSING  # forward passes an optimizer step
    eval_batch_size: int = MISSING  # blocks
    # How long: the first of these that is set. Optimizer steps; tokens; passes over the data.
    max_steps: int | None = None
    max_tokens: int | None = None
    epochs: float | None = None
    eval_steps: float = MISSING  # optimizer steps; below 1: a share of all steps
    early_stopping_patience: int | None = None  # evaluations without a new best
    dtype: Dtype = MISSING
    gradient_checkpointing: bool = MISSING


@dataclass
class Config:
    """One trial, whole."""

    study: StudyConfig = field(default_factory=StudyConfig)
    seed: int = MISSING
    cache_dir: str = MISSING
    model: ModelConfig = field(default_factory=ModelConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    scheduler: Any = MISSING  # one of SCHEDULERS
    stoppers: StoppersConfig = field(default_factory=StoppersConfig)
    objectives: ObjectivesConfig = field(default_factory=ObjectivesConfig)
    constraints: ConstraintsConfig = field(default_factory=ConstraintsConfig)
    latency: LatencyConfig = field(default_factory=LatencyConfig)


SCHEDULERS = {
    "none": SchedulerConfig,
    "asha": AshaConfig,
    "adaptive_asha": AdaptiveAshaConfig,
    "dominance": RungsConfig,
    "median": MedianConfig,
}


def register_schema() -> None:
    """Make the schema and the resolvers of ``conf/`` known to Hydra."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for name, scheduler in SCHEDULERS.items():  # each has keys of its own
        store.store(group="scheduler/schema", name=name, node=scheduler)
    register_resolvers()


def register_resolvers() -> None:
    """Make ``${multiply:a,b}`` known to OmegaConf."""

    OmegaConf.register_resolver("multiply", lambda a, b: a * b, replace=True)


def typed(config: DictConfig) -> Config:
    """The composed configuration as dataclasses, interpolations resolved.

    Raises:
        UserError: a mandatory value is missing, or one is of the wrong type.
    """
    register_resolvers()  # a worker process that was handed the configuration has not
    try:
        settings = OmegaConf.to_object(config)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: needs a value, there is no default") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    assert isinstance(settings, Config)
    return settings
