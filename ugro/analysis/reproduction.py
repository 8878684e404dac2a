"""Compare a trial with a repeated run of it: metrics, reports and provenance."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Deterministic results of a training; other metrics depend on machine and time.
REPORTED = ("eval_loss", "train_loss", "learning_rate", "tokens_seen")
MEASURED = (
    "eval_loss",
    "eval_bits_per_byte",
    "eval_reward_accuracy",
    "eval_reward_margin",
    "eval_accuracy",
    "eval_f1",
    "base_eval_loss",
    "train_loss",
    "tokens_seen",
    "trainable_parameters",
    "steps",
)
# A difference in these makes it a different training.
TRAINING = ("base_model", "base_model_commit", "train_data", "eval_data", "seed", "dtype")
# A difference in these has no effect. Any other difference changes results only by rounding, as
# floating-point sums depend on their order.
WITHOUT_EFFECT = ("host", "cpus", "memory_mb", "hydra-core", "optuna", "ray")
NEARLY = 1e-3  # relative tolerance
CPU = "cpu"  # the only device with a deterministic order of summation


@dataclass(frozen=True)
class TrialRun:
    """Results of a run of a trial.

    Attributes:
        reports: lines of ``metrics.jsonl``
        metrics: final metrics; empty if the run has none
        provenance: provenance of the run
        error: final error; empty if there was none
    """

    reports: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, float]
    provenance: Mapping[str, str]
    error: str = ""


@dataclass(frozen=True)
class Number:
    """A number of both runs.

    Attributes:
        name: name of the metric
        step: step of the report; None for final metrics
        then: value of the original run
        now: value of the repeated run
    """

    name: str
    step: int | None
    then: float
    now: float

    @property
    def relative_difference(self) -> float:
        """Difference relative to the original value."""
        if self.then == self.now or (math.isnan(self.then) and math.isnan(self.now)):
            return 0.0
        apart = abs(self.now - self.then)
        if not math.isfinite(apart):
            return math.inf
        return apart / abs(self.then) if self.then else math.inf


@dataclass(frozen=True)
class Change:
    """A difference in provenance; missing values are empty."""

    name: str
    then: str
    now: str

    @property
    def is_another_training(self) -> bool:
        """Whether the difference makes it a different training."""
        return self.name in TRAINING

    @property
    def is_without_effect(self) -> bool:
        """Whether the difference cannot affect results."""
        return self.name in WITHOUT_EFFECT


@dataclass(frozen=True)
class Reproduction:
    """Result of the comparison.

    Attributes:
        numbers: numbers of all reports, then final metrics
        changes: differences in provenance
        tolerance: maximum relative difference
        errors: errors of the original and the repeated run; empty if there were none
    """

    numbers: tuple[Number, ...]
    changes: tuple[Change, ...]
    tolerance: float
    errors: tuple[str, str] = ("", "")

    @property
    def mismatches(self) -> tuple[Number, ...]:
        """Numbers that differ by more than the tolerance."""
        return tuple(
            number for number in self.numbers if number.relative_difference > self.tolerance
        )

    @property
    def other_training(self) -> tuple[Change, ...]:
        """Differences that make it a different training."""
        return tuple(change for change in self.changes if change.is_another_training)

    @property
    def succeeded(self) -> bool:
        """Whether training, numbers and errors agree."""
        then, now = self.errors
        comparable = bool(self.numbers) or bool(then)
        return comparable and not self.mismatches and not self.other_training and then == now

    @property
    def verdict(self) -> str:
        """The result as a sentence."""
        then, now = self.errors
        if self.other_training:
            names = ", ".join(change.name for change in self.other_training)
            return f"Not the same training: another {names}."
        if then != now:
            return f"Not the same end: {now or 'no error'} now, {then or 'no error'} then."
        if not self.numbers:
            again = f"It fails again: {now}"
            return again if now else "Nothing to compare: the original run has no numbers."
        return self._of_numbers()

    def _of_numbers(self) -> str:
        count = len(self.numbers)
        worst = max(self.numbers, key=lambda number: number.relative_difference)
        if not self.mismatches:
            if not worst.relative_difference:
                return f"The same to the last digit: {count} numbers."
            return (
                f"The same within {self.tolerance:g}: of {count} numbers none is off by more than "
                f"{worst.relative_difference:.1g} of its value."
            )
        allowed = f"{self.tolerance:g} of its value" if self.tolerance else "the last digit"
        return (
            f"Not the same: {len(self.mismatches)} of {count} numbers are off by "
            f"more than {allowed}, {worst.name} most, by {worst.relative_difference:.1g}."
        )


def reproduction_of(then: TrialRun, now: TrialRun, tolerance: float | None = None) -> Reproduction:
    """Compare a trial with a repeated run.

    Args:
        then: original run in the study
        now: repeated run, up to the same step
        tolerance: maximum relative difference; by default 0 with the same software on the same
            CPU, else 0.001
    """
    changes = tuple(_changes(then.provenance, now.provenance))
    if tolerance is None:
        same = all(change.is_without_effect for change in changes)
        tolerance = 0.0 if same and now.provenance.get("device") == CPU else NEARLY
    errors = then.error, now.error
    return Reproduction(tuple(_numbers(then, now)), changes, tolerance, errors)


def _numbers(then: TrialRun, now: TrialRun) -> Iterator[Number]:
    reported = {report["step"]: report for report in now.reports}
    for report in then.reports:
        other = reported.get(report["step"], {})
        yield from _pairs(REPORTED, report["step"], report, other)
    if then.metrics:
        yield from _pairs(MEASURED, None, then.metrics, now.metrics)


def _pairs(
    names: Sequence[str], step: int | None, then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[Number]:
    """Pair the numbers by name; a missing number of the repeated run is NaN."""
    for name in names:
        if then.get(name) is not None:
            found = now.get(name)
            yield Number(name, step, float(then[name]), math.nan if found is None else float(found))


def _changes(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys([*then, *now]):
        if then.get(name) != now.get(name):
            yield Change(name, then.get(name, ""), now.get(name, ""))
