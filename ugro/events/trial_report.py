"""Describe a trial while it trains (reports) and when it has ended (a result)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

REPORTED = (
    "eval_loss",
    "eval_perplexity",
    "eval_bits_per_byte",
    "train_loss",
    "learning_rate",
    "peak_memory_mb",
)
MEASURED = (
    "eval_loss",
    "eval_perplexity",
    "eval_bits_per_byte",
    "base_eval_loss",
    "base_eval_bits_per_byte",
    "train_loss",
    "tokens_seen",
    "trained_token_share",
    "padding_share",
    "train_tokens_per_second",
    "trainable_parameters",
    "peak_memory_mb",
    "train_seconds",
    "startup_seconds",
    "steps",
    "best_step",
    "latency_ms",
)
# The parts of the data whose fingerprints a trial tells, and their names for people.
DATA_PARTS = {
    "train_data": "training data",
    "eval_data": "evaluation data",
    "test_data": "test data",
}

_NESTED = ("metrics", "data")


@dataclass(frozen=True)
class Report:
    """One evaluation during training, the untrained model's at step 0 included.

    Attributes:
        metrics: those of ``REPORTED`` that are known. ``eval_loss`` in nats a predicted token;
            ``train_loss``, the mean since the report before, not before the first step.
        data: fingerprints of the data, by the names of ``DATA_PARTS``; in the first report of an
            attempt
    """

    step: int  # optimizer steps done
    total_steps: int  # that the trial takes if nothing stops it
    tokens_seen: int  # tokens trained on
    total_tokens: int
    seconds: float  # since training began
    metrics: Mapping[str, float]
    time: float = field(compare=False)  # Unix time
    data: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def last(self) -> bool:
        """Whether the trial ends here by itself."""
        return self.step >= self.total_steps

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, the metrics among them."""
        plain = {key: value for key, value in vars(self).items() if key not in _NESTED}
        return {**plain, **self.metrics, **({"data": dict(self.data)} if self.data else {})}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` gave; other keys are left out."""
        own = [one.name for one in fields(cls) if one.name not in _NESTED]
        metrics = {name: plain[name] for name in REPORTED if plain.get(name) is not None}
        data = dict(plain.get("data") or {})
        return cls(**{name: plain[name] for name in own}, metrics=metrics, data=data)


@dataclass(frozen=True)
class TrialResult:
    """What a finished trial returns; as a number it is the objective, so any sweeper can read it.

    Attributes:
        values: one an objective
        metrics: those of ``MEASURED`` that are known: ``eval_loss``, ``eval_perplexity`` and
            ``eval_bits_per_byte`` of the best checkpoint, ``base_eval_loss`` and
            ``base_eval_bits_per_byte`` of the base model on the same examples, ``train_loss`` (mean
            over training), ``tokens_seen`` (trained on, padding left out), ``trained_token_share``
            (of them, those that carry loss), ``padding_share`` (of what the model reads),
            ``train_tokens_per_second`` (evaluations not counted), ``trainable_parameters``,
            ``peak_memory_mb``, ``train_seconds`` (evaluations counted), ``startup_seconds`` (before
            training), ``steps``, ``best_step``, and ``latency_ms`` where an objective or a
            constraint asks for it. Beside them ``test_tokens``, held out for the end of a study.
        provenance: what it was run with: code, data, base model, machine
    """

    values: tuple[float, ...]
    metrics: Mapping[str, float]
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __float__(self) -> float:
        return self.values[0]
