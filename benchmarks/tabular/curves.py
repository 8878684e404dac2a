"""What is a learning curve, and how is it lived through? As a trial in simulated slots.

An hour of training is a second of a replay, simulated or real.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy

from ugro.events.trial_report import Report, TrialResult
from ugro.executors.simulated_executor import Course

POINTS = 12  # evaluations after the one at step 0
HOURS = 2.0  # of the median trial


@dataclass(frozen=True)
class Curve:
    """What a run of a configuration measures.

    Attributes:
        losses: at step 0 and at each evaluation, [POINTS + 1]
        hours: since training began, at the same moments, [POINTS + 1]
        startup_hours: before that
        tokens: trained on in all
        true_loss: the best of the curve without its noise, by which configurations are judged
    """

    losses: Sequence[float]
    hours: Sequence[float]
    startup_hours: float
    tokens: int
    true_loss: float

    def reports(self) -> list[Report]:
        """As a trial reports it."""
        last = len(self.losses) - 1
        return [
            Report(
                index,
                last,
                self.tokens * index // last,
                self.tokens,
                hours,
                {"eval_loss": loss},
                0.0,
            )
            for index, (loss, hours) in enumerate(zip(self.losses, self.hours, strict=True))
        ]

    def course(self) -> Course:
        """As a trial lives through it."""
        return Course(self.startup_hours, self.reports(), result)

    def paced(self, beat: float, number: int) -> "Curve":
        """A third of the reports, one a beat; trial 1 begins half a beat late.

        So two slots never report at nearly the same time, and what real time adds, as long as it
        is less than half a beat, does not change the order of what happens.
        """
        losses = self.losses[::3]
        hours = [beat * point for point in range(len(losses))]
        startup = beat * (1.5 if number == 1 else 1.0)
        return replace(self, losses=losses, hours=hours, startup_hours=startup)


class Problem(Protocol):
    """Something to search over."""

    name: str

    def curve(self, parameters: Mapping[str, Any], seed: int) -> Curve:
        """The curve of a configuration as :func:`plain` writes it; the seed is of its noise."""


def result(reports: Sequence[Report]) -> TrialResult:
    """What a trial comes to: its best evaluation, that at step 0 aside.

    Raises:
        FloatingPointError: no evaluation gave a finite loss.
    """
    losses = [one.metrics["eval_loss"] for one in reports[1:]]
    finite = [loss for loss in losses if math.isfinite(loss)]
    if losses and not finite:
        raise FloatingPointError("training diverged: no evaluation gave a finite loss")
    best = min(finite, default=reports[0].metrics["eval_loss"])
    last = reports[-1]
    measured = {"eval_loss": best, "tokens_seen": float(last.tokens_seen)}
    return TrialResult((best,), {**measured, "train_seconds": last.seconds})


def plain(parameters: Mapping[str, Any]) -> dict[str, float | str]:
    """A configuration in one manner of writing: a sampler's 2 is 2.0, a list is as its choice."""
    return {key: _plain(value) for key, value in parameters.items()}


def _plain(value: Any) -> float | str:
    if isinstance(value, str):
        return value
    return float(value) if isinstance(value, int | float) else f"[{','.join(value)}]"


def noise_of(parameters: Mapping[str, float | str], seed: int) -> numpy.random.Generator:
    """A generator of its own for each configuration and seed, whatever was drawn before."""
    written = repr(sorted(parameters.items())).encode()
    return numpy.random.default_rng((seed, zlib.crc32(written)))
