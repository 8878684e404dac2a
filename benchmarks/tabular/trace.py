"""Trace of a sweep on a problem, in the same form for all methods."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ugro.events.events import Event, TrialAsked, TrialFinished, TrialReported


@dataclass(frozen=True)
class EndedTrial:
    """An ended trial."""

    number: int
    began: float  # hours
    ended: float  # hours
    tokens: int
    value: float | None  # value reported to the sampler; None if the trial was stopped
    true_loss: float  # noise-free loss of the configuration


@dataclass
class Trace:
    """Trials of a sweep, ordered by their end, and UGRO's events."""

    slots: int
    trials: list[EndedTrial] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def best(self) -> Iterator[tuple[float, int, float]]:
        """Yield hours, tokens and true loss of the best complete trial whenever it changes."""
        best, true, tokens = math.inf, math.inf, 0
        for trial in self.trials:
            tokens += trial.tokens
            if trial.value is not None and trial.value < best:
                best, true = trial.value, trial.true_loss
                yield trial.ended, tokens, true

    def until(self, target: float) -> tuple[float, int] | None:
        """Return hours and tokens until the best reaches the target; None if never."""
        return next(
            ((hours, tokens) for hours, tokens, loss in self.best() if loss <= target), None
        )

    @property
    def hours(self) -> float:
        """Total hours."""
        return max((trial.ended for trial in self.trials), default=0.0)

    @property
    def tokens(self) -> int:
        """Total training tokens."""
        return sum(trial.tokens for trial in self.trials)

    @property
    def idle(self) -> float:
        """Idle share of the slots' time before the start of the last trial."""
        last = max(trial.began for trial in self.trials)
        if not last:
            return 0.0
        busy = sum(min(trial.ended, last) - trial.began for trial in self.trials)
        return 1 - busy / (self.slots * last)

    def decisions(self) -> list[tuple[Any, ...]]:
        """Return the decisions of the sweep, in order."""
        return decisions(self.events)


def decisions(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """Return proposals, responses to reports and ends of trials, in order."""
    decided: list[tuple[Any, ...]] = []
    for event in events:
        match event:
            case TrialAsked(number=number, parameters=parameters):
                decided.append(("asked", number, dict(parameters)))
            case TrialReported(number=number, report=report, stop=stop, rung=rung):
                decided.append(("reported", number, report.step, dict(report.metrics), stop, rung))
            case TrialFinished(number=number, outcome=outcome, values=values):
                decided.append(("ended", number, outcome, values))
    return decided
