"""Learning curves and their replay as trials in simulated slots.

An hour of training is replayed as a second, simulated or real.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy

from ugro.events.trial_report import Report, TrialResult
from ugro.executors.simulated_executor import SimulatedTrial

POINTS = 12  # evaluations, not counting step 0
HOURS = 2.0  # duration of the median trial


@dataclass(frozen=True)
class Curve:
    """Measurements of a run of a configuration.

    Attributes:
        losses: loss at step 0 and at each evaluation, [POINTS + 1]
        hours: time since the start of training, [POINTS + 1]
        startup_hours: time before training
        tokens: total training tokens
        true_loss: minimum of the noise-free curve, by which configurations are judged
    """

    losses: Sequence[float]
    hours: Sequence[float]
    startup_hours: float
    tokens: int
    true_loss: float

    def reports(self) -> list[Report]:
        """Return the reports of a trial with this curve."""
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

    def course(self) -> SimulatedTrial:
        """Return a simulated trial with this curve."""
        return SimulatedTrial(self.startup_hours, self.reports(), result)

    def paced(self, beat: float, number: int) -> "Curve":
        """Return a third of the reports, one per beat; trial 1 starts half a beat late.

        Two slots then never report at nearly the same time, and delays of real time below half a
        beat do not change the order of events.
        """
        losses = self.losses[::3]
        hours = [beat * point for point in range(len(losses))]
        startup = beat * (1.5 if number == 1 else 1.0)
        return replace(self, losses=losses, hours=hours, startup_hours=startup)


class Problem(Protocol):
    """A problem to search."""

    name: str

    def curve(self, parameters: Mapping[str, Any], seed: int) -> Curve:
        """Return the curve of a configuration in :func:`plain` form, with noise of this seed."""


def result(reports: Sequence[Report]) -> TrialResult:
    """Return a trial's result: its best evaluation after step 0.

    Raises:
        FloatingPointError: no evaluation gave a finite loss.
    """
    losses = [report.metrics["eval_loss"] for report in reports[1:]]
    finite = [loss for loss in losses if math.isfinite(loss)]
    if losses and not finite:
        raise FloatingPointError("training diverged: no evaluation gave a finite loss")
    best = min(finite, default=reports[0].metrics["eval_loss"])
    last = reports[-1]
    measured = {"eval_loss": best, "tokens_seen": float(last.tokens_seen)}
    return TrialResult((best,), {**measured, "train_seconds": last.seconds})


def plain(parameters: Mapping[str, Any]) -> dict[str, float | str]:
    """Normalise a configuration: numbers are floats, lists are strings."""
    return {key: _plain(value) for key, value in parameters.items()}


def _plain(value: Any) -> float | str:
    if isinstance(value, str):
        return value
    return float(value) if isinstance(value, int | float) else f"[{','.join(value)}]"


def noise_of(parameters: Mapping[str, float | str], seed: int) -> numpy.random.Generator:
    """Return a generator that depends only on configuration and seed."""
    written = repr(sorted(parameters.items())).encode()
    return numpy.random.default_rng((seed, zlib.crc32(written)))
