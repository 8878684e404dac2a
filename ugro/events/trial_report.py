"""Reports of a trial during training and its final result."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

REPORTED = (
    "eval_loss",
    "eval_perplexity",
    "eval_bits_per_byte",
    "eval_reward_accuracy",
    "eval_reward_margin",
    "eval_accuracy",
    "eval_f1",
    "train_loss",
    "learning_rate",
    "peak_memory_mb",
)
MEASURED = (
    "eval_loss",
    "eval_perplexity",
    "eval_bits_per_byte",
    "eval_reward_accuracy",
    "eval_reward_margin",
    "eval_accuracy",
    "eval_f1",
    "base_eval_loss",
    "base_eval_bits_per_byte",
    "base_eval_reward_accuracy",
    "base_eval_reward_margin",
    "base_eval_accuracy",
    "base_eval_f1",
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
    "metrics_seconds",
)
# Parts of the data that a trial fingerprints, and their display names.
DATA_PARTS = {
    "train_data": "training data",
    "eval_data": "evaluation data",
    "test_data": "test data",
}

_NESTED = ("metrics", "data")


@dataclass(frozen=True)
class Report:
    """An evaluation during training; the first one is of the untrained model, at step 0.

    Attributes:
        metrics: those of ``REPORTED`` that are known, and values of the configured metrics.
            ``eval_loss`` in nats per target (token, pair or text); ``train_loss`` is the mean since
            the previous report, and absent at step 0.
        data: fingerprints by the names of ``DATA_PARTS``, in the first report of an attempt
    """

    step: int  # optimizer steps done
    total_steps: int  # of the trial if it is not stopped
    tokens_seen: int  # tokens trained on
    total_tokens: int
    seconds: float  # since training began
    metrics: Mapping[str, float]
    time: float = field(compare=False)  # Unix time
    data: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def last(self) -> bool:
        """Whether the trial ends with this report."""
        return self.step >= self.total_steps

    @property
    def configured(self) -> dict[str, float]:
        """The values of the configured metrics."""
        return {name: value for name, value in self.metrics.items() if name not in REPORTED}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, UGRO's own metrics at the top level.

        Configured metrics stay nested, so that their names cannot clash with other keys.
        """
        plain = {key: value for key, value in vars(self).items() if key not in _NESTED}
        own = {name: value for name, value in self.metrics.items() if name in REPORTED}
        nested = {"metrics": self.configured, "data": dict(self.data)}
        return {**plain, **own, **{key: value for key, value in nested.items() if value}}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`as_dict`; unknown keys are ignored."""
        own = [each.name for each in fields(cls) if each.name not in _NESTED]
        metrics = {name: plain[name] for name in REPORTED if plain.get(name) is not None}
        metrics |= plain.get("metrics") or {}
        data = dict(plain.get("data") or {})
        return cls(**{name: plain[name] for name in own}, metrics=metrics, data=data)


@dataclass(frozen=True)
class TrialResult:
    """Result of a finished trial; as a float it is the objective, for any Hydra sweeper.

    Attributes:
        values: one per objective
        metrics: those of ``MEASURED`` that are known: ``eval_loss`` and the task's metrics
            (``eval_perplexity`` and ``eval_bits_per_byte``; ``eval_reward_accuracy`` and
            ``eval_reward_margin``; ``eval_accuracy`` and ``eval_f1``) of the best checkpoint,
            ``base_eval_...`` of the base model on the same examples, ``train_loss`` (mean
            over training), ``tokens_seen`` (without padding), ``trained_token_share`` (share of
            ``tokens_seen`` that contributes to the loss), ``padding_share`` (of the model's input),
            ``train_tokens_per_second`` (without evaluations), ``trainable_parameters``,
            ``peak_memory_mb``, ``train_seconds`` (with evaluations), ``startup_seconds`` (before
            training), ``steps``, ``best_step``, and ``latency_ms`` if an objective or a constraint
            uses it. Configured metrics have the values of the best checkpoint, with the suffix
            ``_stderr`` (standard error over documents) where the function returns a value per
            example, and the prefix ``base_`` for the base model; ``metrics_seconds`` is the time
            that they took. ``test_tokens`` is kept beside them until the study ends.
        provenance: code, data, base model and machine of the trial
    """

    values: tuple[float, ...]
    metrics: Mapping[str, float]
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __float__(self) -> float:
        return self.values[0]
