"""What came out of a sweep over a problem, whoever ran it? The same few numbers for all."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ugro.events.events import Event, TrialAsked, TrialFinished, TrialReported


@dataclass(frozen=True)
class Ended:
    """A trial that has ended."""

    number: int
    began: float  # hours
    ended: float  # hours
    tokens: int
    value: float | None  # what the sampler was told; None where the trial was stopped
    true_loss: float  # of its configuration, noise aside


@dataclass
class Trace:
    """A sweep's trials in the order in which they ended, and all that happened if UGRO ran it."""

    slots: int
    trials: list[Ended] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def best(self) -> Iterator[tuple[float, int, float]]:
        """Hours, tokens and the true loss of the best that is complete, each time it changes."""
        told, true, tokens = math.inf, math.inf, 0
        for one in self.trials:
            tokens += one.tokens
            if one.value is not None and one.value < told:
                told, true = one.value, one.true_loss
                yield one.ended, tokens, true

    def until(self, target: float) -> tuple[float, int] | None:
        """Hours and tokens until the best is as good as the target; None: never."""
        return next(
            ((hours, tokens) for hours, tokens, loss in self.best() if loss <= target), None
        )

    @property
    def hours(self) -> float:
        """In all."""
        return max((one.ended for one in self.trials), default=0.0)

    @property
    def tokens(self) -> int:
        """Trained on in all."""
        return sum(one.tokens for one in self.trials)

    @property
    def idle(self) -> float:
        """The share of the slots' time, until the last trial begins, in which none ran."""
        last = max(one.began for one in self.trials)
        if not last:
            return 0.0
        busy = sum(min(one.ended, last) - one.began for one in self.trials)
        return 1 - busy / (self.slots * last)

    def decisions(self) -> list[tuple[Any, ...]]:
        """What the sweep decided, in order."""
        return decisions(self.events)


def decisions(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """What was asked, what each report was answered and how trials ended, in order."""
    told: list[tuple[Any, ...]] = []
    for event in events:
        match event:
            case TrialAsked(number=number, parameters=parameters):
                told.append(("asked", number, dict(parameters)))
            case TrialReported(number=number, report=report, stop=stop, rung=rung):
                told.append(("reported", number, report.step, dict(report.metrics), stop, rung))
            case TrialFinished(number=number, ending=ending, values=values):
                told.append(("ended", number, ending, values))
    return told
