"""When does a trial end whatever the others do? Its own reports say it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ugro.config import StoppersConfig
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report


class Stopper(Protocol):
    """Looks at one trial alone."""

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """How the trial is to end at its latest report; None: it goes on.

        Args:
            reports: all of the trial's, the untrained model's at step 0 first
            elapsed_seconds: since the trial was started, loading included
        """


@dataclass(frozen=True)
class Divergence:
    """The loss is no number, or ``factor`` times that of the untrained model."""

    factor: float | None

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """Diverged?"""
        first, last = reports[0].metrics["eval_loss"], reports[-1].metrics["eval_loss"]
        far = self.factor is not None and last > self.factor * first
        return Outcome.DIVERGED if far or not math.isfinite(last) else None


@dataclass(frozen=True)
class MaxTokens:
    """The trial's tokens are used up."""

    max_tokens: int

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """Used up?"""
        return Outcome.BUDGET if reports[-1].tokens_seen >= self.max_tokens else None


@dataclass(frozen=True)
class MaxSeconds:
    """The trial's time is used up."""

    max_seconds: float

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """Used up?"""
        return Outcome.TIMED_OUT if elapsed_seconds >= self.max_seconds else None


@dataclass(frozen=True)
class Plateau:
    """For ``patience`` reports the loss has not become better by more than ``min_delta``."""

    patience: int
    min_delta: float

    def judge(self, reports: Sequence[Report], elapsed_seconds: float) -> Outcome | None:
        """No better any more? The untrained model does not count."""
        losses = [report.metrics["eval_loss"] for report in reports if report.step]
        if len(losses) <= self.patience:
            return None
        before = min(losses[: -self.patience])
        better = any(loss < before - self.min_delta for loss in losses[-self.patience :])
        return None if better else Outcome.PLATEAU


def stoppers(config: StoppersConfig) -> list[Stopper]:
    """The configured ones, in the order in which they are asked."""
    found: list[Stopper] = [Divergence(config.divergence_factor)]
    if config.max_seconds is not None:
        found.append(MaxSeconds(config.max_seconds))
    if config.max_tokens is not None:
        found.append(MaxTokens(config.max_tokens))
    if config.plateau_patience is not None:
        found.append(Plateau(config.plateau_patience, config.plateau_min_delta))
    return found
