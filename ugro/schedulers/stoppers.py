"""Stoppers: criteria that end a trial by its own reports, whatever other trials do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ugro.config import StoppersConfig
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report


class Stopper(Protocol):
    """Stopping criterion for a single trial."""

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """Return the trial's outcome if it must stop at its latest report, else None.

        Args:
            reports: all reports of the trial, starting with the untrained model at step 0
            elapsed_seconds: seconds since the trial started, loading included
        """


@dataclass(frozen=True)
class Divergence:
    """Stop when the loss is not finite or exceeds ``factor`` times the untrained model's."""

    factor: float | None

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """Return DIVERGED if the latest loss is not finite or too large."""
        first, last = reports[0].metrics["eval_loss"], reports[-1].metrics["eval_loss"]
        too_large = self.factor is not None and last > self.factor * first
        return Outcome.DIVERGED if too_large or not math.isfinite(last) else None


@dataclass(frozen=True)
class MaxTokens:
    """Stop when the trial's token budget is spent."""

    max_tokens: int

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """Return BUDGET if the budget is spent."""
        return Outcome.BUDGET if reports[-1].tokens_seen >= self.max_tokens else None


@dataclass(frozen=True)
class MaxSeconds:
    """Stop when the trial's time is spent."""

    max_seconds: float

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """Return TIMED_OUT if the time is spent."""
        return Outcome.TIMED_OUT if elapsed_seconds >= self.max_seconds else None


@dataclass(frozen=True)
class Plateau:
    """Stop when ``patience`` reports improve the loss by no more than ``min_delta``."""

    patience: int
    min_delta: float

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """Return PLATEAU if the loss no longer improves; the untrained model does not count."""
        losses = [report.metrics["eval_loss"] for report in reports if report.step]
        if len(losses) <= self.patience:
            return None
        best_before = min(losses[: -self.patience])
        improves = any(loss < best_before - self.min_delta for loss in losses[-self.patience :])
        return None if improves else Outcome.PLATEAU


def stoppers(config: StoppersConfig) -> list[Stopper]:
    """Create the configured stoppers in the order of their precedence."""
    found: list[Stopper] = [Divergence(config.divergence_factor)]
    if config.max_seconds is not None:
        found.append(MaxSeconds(config.max_seconds))
    if config.max_tokens is not None:
        found.append(MaxTokens(config.max_tokens))
    if config.plateau_patience is not None:
        found.append(Plateau(config.plateau_patience, config.plateau_min_delta))
    return found
