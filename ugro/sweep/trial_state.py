"""State and outcome of an active trial."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ugro.errors import UserError, fault
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.objectives.constraints import broken
from ugro.retries import OUTAGE_SECONDS, back_off_seconds
from ugro.space.composition import lookup
from ugro.space.feasible import FeasibleSpace
from ugro.sweep.failures import Response
from ugro.sweep.proposals import Proposal


def result_of(returned: Any) -> TrialResult:
    """Convert the return value of a task; a custom task may return numbers."""
    if isinstance(returned, TrialResult):
        return returned
    values = tuple(returned) if isinstance(returned, (list, tuple)) else (float(returned),)
    return TrialResult(values, {})


def final_outcome(
    outcome: Outcome, result: TrialResult, feasible: FeasibleSpace, parameters: Mapping[str, Any]
) -> Outcome:
    """Return the outcome, or INFEASIBLE if the result breaks a constraint.

    Args:
        outcome: COMPLETE, or the outcome with which the trial was stopped
        result: result of the trial
        feasible: search space with the constraints
        parameters: parameters of the trial

    Raises:
        UserError: a constraint reads a metric that the trial did not measure.
    """
    constraints, measured = feasible.constraints.on_results, feasible.constraints.measured
    if not outcome.has_value or not constraints:
        return outcome
    config = feasible.composer.compose(parameters)

    def value(name: str) -> object:
        if name in measured and name not in result.metrics:
            allowed = f"what the trial measured: {', '.join(sorted(result.metrics))}"
            raise UserError(fault("constraints.expressions", name, allowed))
        return result.metrics[name] if name in result.metrics else lookup(config, name)

    return Outcome.INFEASIBLE if broken(constraints, value) else outcome


@dataclass
class ActiveTrial:
    """Trial that is running or waits to be resumed.

    Attributes:
        number: number of the trial
        proposal: its configuration
        started_at: time of its start by the sweep's clock; None before a worker starts it
        tokens: training tokens at its latest new report
        stop: outcome with which it was stopped or paused; None while it may continue
        seconds_before: run time before it was paused, loading included
        retried: number of retries
        why: reason of the latest retry
        not_before: earliest time of the next attempt by the sweep's clock
        outage_since: start of an outage by the sweep's clock; None after progress
        attempts: attempts during the outage
    """

    number: int
    proposal: Proposal
    started_at: float | None = None
    tokens: int = 0
    stop: Outcome | None = None
    seconds_before: float = 0.0
    retried: int = 0
    why: str = ""
    not_before: float = 0.0
    outage_since: float | None = None
    attempts: int = 0

    def seconds(self, now: float) -> float:
        """Return the run time so far, loading included and pauses excluded.

        Args:
            now: current time by the sweep's clock
        """
        return self.seconds_before + (0.0 if self.started_at is None else now - self.started_at)

    def may_retry(self, response: Response, now: float, max_retries: int) -> bool:
        """Whether the trial may run again after a failure; schedules the next attempt.

        Args:
            response: response to the failure
            now: current time by the sweep's clock
            max_retries: limit on retries of failures other than outages
        """
        if not response.until_over:
            self.retried += 1
            return self.retried <= max_retries
        if self.outage_since is None:
            self.outage_since, self.attempts = now, 0
        self.not_before = now + back_off_seconds(self.attempts)
        self.attempts += 1
        return now - self.outage_since <= OUTAGE_SECONDS
