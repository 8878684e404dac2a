"""What does a trial say of itself? Reports while it trains, a result when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

REPORTED = (
    "eval_loss",
    "eval_perplexity",
    "train_loss",
    "learning_rate",
    "peak_memory_mb",
)
MEASURED = (
    "eval_loss",
    "eval_perplexity",
    "base_eval_loss",
    "train_loss",
    "tokens_seen",
    "train_tokens_per_second",
    "trainable_parameters",
    "peak_memory_mb",
    "train_seconds",
    "startup_seconds",
    "steps",
    "best_step",
    "latency_ms",
)


@dataclass(frozen=True)
class Report:
    """One evaluation during training, the untrained model's at step 0 included.

    Attributes:
        metrics: those of ``REPORTED`` that are known. ``eval_loss`` in nats a predicted token;
            ``train_loss``, the mean since the report before, not before the first step.
    """

    step: int  # optimizer steps done
    total_steps: int  # that the trial takes if nothing stops it
    tokens_seen: int  # tokens trained on
    total_tokens: int
    seconds: float  # since training began
    metrics: Mapping[str, float]
    time: float = field(compare=False)  # Unix time

    @property
    def last(self) -> bool:
        """Whether the trial ends here by itself."""
        return self.step >= self.total_steps

    def as_dict(self) -> dict[str, Any]:
        """Plain values in one level, for JSON."""
        plain = {key: value for key, value in vars(self).items() if key != "metrics"}
        return {**plain, **self.metrics}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """What :meth:`as_dict` gave; other keys are left out."""
        own = [one.name for one in fields(cls) if one.name != "metrics"]
        metrics = {name: plain[name] for name in REPORTED if plain.get(name) is not None}
        return cls(**{name: plain[name] for name in own}, metrics=metrics)


@dataclass(frozen=True)
class TrialResult:
    """What a finished trial returns; as a number it is the objective, so any sweeper can read it.

    Attributes:
        values: one an objective
        metrics: those of ``MEASURED`` that are known: ``eval_loss`` and ``eval_perplexity`` of the
            best checkpoint, ``base_eval_loss`` of the base model on the same blocks, ``train_loss``
            (mean over training), ``tokens_seen``, ``train_tokens_per_second`` (evaluations not
            counted), ``trainable_parameters``, ``peak_memory_mb``, ``train_seconds`` (evaluations
            counted), ``startup_seconds`` (before training), ``steps``, ``best_step``, and
            ``latency_ms`` where an objective or a constraint asks for it.
        provenance: what it was run with: code, data, base model, machine
    """

    values: tuple[float, ...]
    metrics: Mapping[str, float]
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __float__(self) -> float:
        return self.values[0]
