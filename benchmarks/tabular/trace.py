"""Trace of a sweep on a problem, in the same form for all methods."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy

from ugro.events.events import Event, TrialAsked, TrialFinished, TrialReported


@dataclass(frozen=True)
class TrialTrace:
    """Course of a trial.

    Attributes:
        number: number of the trial
        progress: hours and training tokens at its start, each report, pause and resume, in order
        ended: hours at its end; infinity if it had not ended
        value: value reported to the sampler; None if the trial was stopped, or diverged
        true_loss: noise-free loss of the configuration
        pauses: hours of each pause and resumption; infinity if it was not resumed
    """

    number: int
    progress: Sequence[tuple[float, int]]
    ended: float
    value: float | None
    true_loss: float
    pauses: Sequence[tuple[float, float]] = ()

    @property
    def began(self) -> float:
        """Hours at its start."""
        return self.progress[0][0]

    @property
    def tokens(self) -> int:
        """Training tokens in total."""
        return self.progress[-1][1]

    def busy_hours(self, until: float) -> float:
        """Return the hours in which it has occupied a slot."""
        paused = sum(min(end, until) - min(start, until) for start, end in self.pauses)
        return max(0.0, min(self.ended, until) - self.began - paused)

    def tokens_at(self, hours: float) -> float:
        """Return its training tokens at a time, interpolated between reports."""
        times, tokens = zip(*self.progress, strict=True)
        return float(numpy.interp(hours, times, tokens))


@dataclass
class Trace:
    """Trials of a sweep in the order of their start, and UGRO's events.

    Attributes:
        slots: number of slots
        horizon: hours after which nothing counts
    """

    slots: int
    horizon: float = math.inf
    trials: list[TrialTrace] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def best(self) -> Iterator[tuple[float, float, float]]:
        """Yield hours, tokens and true loss of the best complete trial whenever it changes.

        The tokens are those of all trials until then: complete, stopped, paused and running.
        """
        best = math.inf
        for trial in sorted(self.trials, key=lambda trial: (trial.ended, trial.number)):
            if trial.ended <= self.horizon and trial.value is not None and trial.value < best:
                best = trial.value
                yield trial.ended, self.tokens_at(trial.ended), trial.true_loss

    def until(self, target: float) -> tuple[float, float] | None:
        """Return hours and tokens until the best reaches the target; None if never."""
        return next(
            ((hours, tokens) for hours, tokens, loss in self.best() if loss <= target), None
        )

    def tokens_at(self, hours: float) -> float:
        """Return the training tokens of all trials at a time."""
        return sum(trial.tokens_at(hours) for trial in self.trials if trial.began < hours)

    @property
    def hours(self) -> float:
        """Hours in total: until the last trial ended, or trained last if it stayed paused."""
        last = (
            trial.ended if math.isfinite(trial.ended) else trial.progress[-1][0]
            for trial in self.trials
        )
        return min(self.horizon, max(last, default=0.0))

    @property
    def tokens(self) -> float:
        """Training tokens in total."""
        return self.tokens_at(self.hours)

    @property
    def idle(self) -> float:
        """Idle share of the slots' time before the start of the last trial."""
        last = min(self.horizon, max(trial.began for trial in self.trials))
        if not last:
            return 0.0
        busy = sum(trial.busy_hours(last) for trial in self.trials)
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
