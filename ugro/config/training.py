"""Schema of the training, and of the latency that is measured after it."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

Dtype = Enum("Dtype", ["auto", "fp32", "fp16", "bf16"])
Parallel = Enum("Parallel", ["none", "ddp", "fsdp"])
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

    parallel: Parallel = Parallel.none
    """Processes of a trial, each with its own GPU of the same machine, share the rows of a step:
    none (one process), ddp (each holds the base model) or fsdp (each holds a part of it,
    https://arxiv.org/abs/2304.11277)."""

    processes: int | None = None
    """Number of processes with parallel=ddp or fsdp; null: one for each GPU of the trial, that is
    hydra.launcher.ray.remote.num_gpus in a sweep."""

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
