"""Read the record of a trial in an Optuna storage."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.events.outcome import Outcome

GROUP = "group"  # of the study: the newest group; of a trial: its group
REASON = "reason"  # of a trial: its outcome
_OUTCOMES = frozenset(outcome.value for outcome in Outcome)


@dataclass(frozen=True)
class Started:
    """Number and storage key of a running trial."""

    number: int
    key: int  # the storage's own id


def started(trial: FrozenTrial) -> Started:
    """Return the number and storage key of a trial."""
    return Started(trial.number, trial._trial_id)


def state_of(outcome: Outcome) -> TrialState:
    """Return Optuna's state for an outcome; the sampler learns nothing from FAIL."""
    if outcome.can_resume:
        return TrialState.WAITING
    if outcome.is_pruned:
        return TrialState.PRUNED
    return TrialState.COMPLETE if outcome.has_value else TrialState.FAIL


def recorded_outcome(trial: FrozenTrial) -> Outcome | None:
    """Return a trial's outcome; None while it runs, and for trials of other programs."""
    if trial.state is TrialState.RUNNING:
        return None  # a resumed trial still has the reason for which it had stopped
    reason = trial.user_attrs.get(REASON)
    known = isinstance(reason, str) and reason in _OUTCOMES
    return Outcome(reason) if known else None


def withdrawn() -> FrozenTrial:
    """Return a trial that takes a number which must not be used again."""
    attributes = {REASON: Outcome.WITHDRAWN.value}
    return create_trial(state=TrialState.FAIL, user_attrs=attributes)


def last_value(trial: FrozenTrial) -> tuple[float] | None:
    """Return the last intermediate value, Optuna's value of a pruned trial; None if not finite."""
    if trial.last_step is None:
        return None
    value = trial.intermediate_values[trial.last_step]
    return (value,) if math.isfinite(value) else None


def metrics(trial: FrozenTrial) -> dict[str, float]:
    """Return a trial's metrics; empty unless it ended by itself."""
    found = trial.user_attrs.get("metrics")  # arbitrary in trials of other programs
    return dict(found) if isinstance(found, dict) else {}


def tokens_of(trial: FrozenTrial) -> int:
    """Return the tokens that a trial was trained on up to its end or last report."""
    return int(metrics(trial).get("tokens_seen", trial.last_step or 0))


def retried(trial: FrozenTrial) -> int:
    """Return how often a trial was retried after the loss of its worker."""
    times = trial.user_attrs.get("retried", 0)
    return times if isinstance(times, int) else 0


def driver(trial: FrozenTrial) -> str:
    """Return the driver that runs or ran a trial."""
    return str(trial.user_attrs.get("driver", ""))


def group(trial: FrozenTrial) -> int:
    """Return the group of a trial."""
    own = trial.user_attrs.get(GROUP, 0)  # arbitrary in trials of other programs
    return own if isinstance(own, int) else 0


def source(trial: FrozenTrial) -> str:
    """Return the source of a trial's parameters; empty for trials of other programs."""
    return str(trial.user_attrs.get("source", ""))


def containing(over: BaseDistribution, value: Any) -> BaseDistribution:
    """Widen a range to a value: an enqueued value of another program may be outside of it."""
    if not isinstance(over, FloatDistribution | IntDistribution):
        return over
    if over._contains(over.to_internal_repr(value)):
        return over
    return type(over)(min(over.low, value), max(over.high, value), log=over.log)


def searched_by(trials: Iterable[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return the searched keys in order of first appearance, with their distributions."""
    return {key: over for trial in trials for key, over in trial.distributions.items()}
