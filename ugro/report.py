"""What does a trial say of itself? Reports while it trains, a result when it ends."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Report:
    """One evaluation during training."""

    step: int  # optimizer steps done
    tokens_seen: int  # tokens trained on
    eval_loss: float  # nats a predicted token
    eval_perplexity: float
    train_loss: float | None  # mean since the report before; None before the first step
    learning_rate: float | None
    seconds: float  # since training began
    time: float = field(compare=False)  # Unix time

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class TrialResult:
    """What a finished trial returns; as a number it is the objective, so any sweeper can read it.

    Attributes:
        metrics: ``eval_loss`` and ``eval_perplexity`` of the best checkpoint,
            ``base_eval_loss`` of the base model on the same blocks, ``train_loss`` (mean over
            training), ``tokens_seen``, ``train_tokens_per_second`` (evaluations not counted),
            ``trainable_parameters``, ``peak_memory_mb``, ``train_seconds`` (evaluations counted),
            ``startup_seconds`` (before training), ``steps``, ``best_step``.
    """

    objective: float
    metrics: dict[str, float]

    def __float__(self) -> float:
        return self.objective
