"""How did a trial end that returned? As it was told, unless its results break a constraint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ugro.errors import UserError, fault
from ugro.events.outcome import Outcome
from ugro.events.trial_report import MEASURED, TrialResult
from ugro.objectives.constraints import broken
from ugro.retries import OUTAGE_SECONDS, back_off_seconds
from ugro.space.composition import lookup
from ugro.space.feasible import FeasibleSpace
from ugro.sweep.failures import Answer
from ugro.sweep.proposals import Proposal


def result_of(returned: Any) -> TrialResult:
    """What a trial returned; a task of the user's own may return numbers."""
    if isinstance(returned, TrialResult):
        return returned
    values = tuple(returned) if isinstance(returned, (list, tuple)) else (float(returned),)
    return TrialResult(values, {})


def outcome_of(
    told: Outcome, result: TrialResult, feasible: FeasibleSpace, parameters: Mapping[str, Any]
) -> Outcome:
    """How a trial ended.

    Args:
        told: how it was told to end
        result: what it returned
        feasible: with the constraints over results
        parameters: the trial's

    Raises:
        UserError: a constraint is over what the trial did not measure.
    """
    constraints = feasible.constraints.on_results
    if not told.has_value or not constraints:
        return told
    config = feasible.composer.compose(parameters)

    def value(name: str) -> object:
        if name in MEASURED and name not in result.metrics:
            allowed = f"what the trial measured: {', '.join(sorted(result.metrics))}"
            raise UserError(fault("constraints.expressions", name, allowed))
        return result.metrics[name] if name in result.metrics else lookup(config, name)

    return Outcome.INFEASIBLE if broken(constraints, value) else told


@dataclass
class Running:
    """A trial in flight, or one that is to go on."""

    number: int
    proposal: Proposal
    started_at: float | None = None
    tokens: int = 0
    told: Outcome | None = None  # how it was told to end
    retried: int = 0  # times
    why: str = ""  # it is run again
    not_before: float = 0.0  # by the clock
    in_trouble_since: float | None = None  # with the disk; None after progress
    tried: int = 0  # times since then

    def may_go_on(self, answer: Answer, now: float, max_retries: int) -> bool:
        """Whether it may be run again after a failure; from when on is noted."""
        if not answer.waits:
            self.retried += 1
            return self.retried <= max_retries
        if self.in_trouble_since is None:
            self.in_trouble_since, self.tried = now, 0
        self.not_before = now + back_off_seconds(self.tried)
        self.tried += 1
        return now - self.in_trouble_since <= OUTAGE_SECONDS
