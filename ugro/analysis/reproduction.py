"""Does a trial that is run again come out the same? Its numbers, and what it was run with."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What a training comes to; the rest of what is measured depends on the machine and on the moment.
REPORTED = ("eval_loss", "train_loss", "learning_rate", "tokens_seen")
MEASURED = (
    "eval_loss",
    "eval_bits_per_byte",
    "base_eval_loss",
    "train_loss",
    "tokens_seen",
    "trainable_parameters",
    "steps",
)
# With another of these it is another training, ...
TRAINING = ("base_model", "base_model_commit", "train_data", "eval_data", "seed", "dtype")
# ... with another of these the same one to the last digit, with another of any others nearly so:
# sums of floating-point numbers depend on their order.
WITHOUT_EFFECT = ("host", "cpus", "memory_mb", "hydra-core", "optuna", "ray")
NEARLY = 1e-3  # of a value
CPU = "cpu"  # the only device that adds up in the same order each time


@dataclass(frozen=True)
class Ran:
    """A trial that was run.

    Attributes:
        reports: as in ``metrics.jsonl``, a mapping each
        metrics: all that it measured in the end; empty where it did not come to one
        provenance: what it was run with
        error: in which it ended; empty where it did not
    """

    reports: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, float]
    provenance: Mapping[str, str]
    error: str = ""


@dataclass(frozen=True)
class Number:
    """One number of both.

    Attributes:
        step: of the report; None: of the end
    """

    name: str
    step: int | None
    then: float
    now: float

    @property
    def off(self) -> float:
        """How far they are apart, as a share of what it was."""
        if self.then == self.now or (math.isnan(self.then) and math.isnan(self.now)):
            return 0.0
        apart = abs(self.now - self.then)
        if not math.isfinite(apart):
            return math.inf
        return apart / abs(self.then) if self.then else math.inf


@dataclass(frozen=True)
class Change:
    """Something that it was run with, and is not now; empty where it was not written down."""

    name: str
    then: str
    now: str

    @property
    def is_another_training(self) -> bool:
        """Whether its numbers need not have anything to do with the others."""
        return self.name in TRAINING

    @property
    def is_without_effect(self) -> bool:
        """Whether its numbers are the same nevertheless."""
        return self.name in WITHOUT_EFFECT


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        numbers: of all reports, then of the end
        changes: what it was run with, where that differs
        tolerance: how far a number may be off, as a share of what it was
        errors: in which it ended then and now; empty where it did not
    """

    numbers: tuple[Number, ...]
    changes: tuple[Change, ...]
    tolerance: float
    errors: tuple[str, str] = ("", "")

    @property
    def missed(self) -> tuple[Number, ...]:
        """The numbers that are not the same."""
        return tuple(one for one in self.numbers if one.off > self.tolerance)

    @property
    def other_training(self) -> tuple[Change, ...]:
        """What makes it another training."""
        return tuple(one for one in self.changes if one.is_another_training)

    @property
    def succeeded(self) -> bool:
        """Whether it is the same training with the same numbers and the same end."""
        then, now = self.errors
        comparable = bool(self.numbers) or bool(then)
        return comparable and not self.missed and not self.other_training and then == now

    @property
    def verdict(self) -> str:
        """A sentence."""
        then, now = self.errors
        if self.other_training:
            names = ", ".join(one.name for one in self.other_training)
            return f"Not the same training: another {names}."
        if then != now:
            return f"Not the same end: {now or 'no error'} now, {then or 'no error'} then."
        if not self.numbers:
            return (
                f"It fails again: {now}" if now else "Nothing to compare: no number is left of it."
            )
        return self._of_numbers()

    def _of_numbers(self) -> str:
        count, worst = len(self.numbers), max(self.numbers, key=lambda one: one.off)
        if not self.missed:
            if not worst.off:
                return f"The same to the last digit: {count} numbers."
            return (
                f"The same within {self.tolerance:g}: of {count} numbers none is off by more than "
                f"{worst.off:.1g} of its value."
            )
        allowed = f"{self.tolerance:g} of its value" if self.tolerance else "the last digit"
        return (
            f"Not the same: {len(self.missed)} of {count} numbers are off by more than {allowed}, "
            f"{worst.name} most, by {worst.off:.1g}."
        )


def reproduction_of(then: Ran, now: Ran, tolerance: float | None = None) -> Reproduction:
    """Compare a trial with the same trial run again.

    Args:
        then: as the study has it
        now: run again, as far as it was run then
        tolerance: how far a number may be off, as a share of what it was; None: not at all with the
            same software on the same CPU, else 0.001
    """
    changes = tuple(_changes(then.provenance, now.provenance))
    if tolerance is None:
        same = all(one.is_without_effect for one in changes)
        tolerance = 0.0 if same and now.provenance.get("device") == CPU else NEARLY
    errors = then.error, now.error
    return Reproduction(tuple(_numbers(then, now)), changes, tolerance, errors)


def _numbers(then: Ran, now: Ran) -> Iterator[Number]:
    reported = {one["step"]: one for one in now.reports}
    for report in then.reports:
        other = reported.get(report["step"], {})
        yield from _pairs(REPORTED, report["step"], report, other)
    if then.metrics:
        yield from _pairs(MEASURED, None, then.metrics, now.metrics)


def _pairs(
    names: Sequence[str], step: int | None, then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[Number]:
    """What is missing now is no number."""
    for name in names:
        if then.get(name) is not None:
            found = now.get(name)
            yield Number(name, step, float(then[name]), math.nan if found is None else float(found))


def _changes(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys([*then, *now]):
        if then.get(name) != now.get(name):
            yield Change(name, then.get(name, ""), now.get(name, ""))
