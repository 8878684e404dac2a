"""A study of another program whose trials are imported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.config import known_keys
from ugro.events.outcome import Outcome
from ugro.study.trial_record import GROUP, REASON, containing, searched_by, state_of


@dataclass(frozen=True)
class ForeignStudy:
    """Trials of another program, ready to be recorded.

    Attributes:
        origin: where they are from, in words
        objectives: names of the objectives
        directions: ``minimize`` or ``maximize`` per objective
        trials: ended trials by number
        left_out: number of trials that are not imported, by reason
    """

    origin: str
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    trials: Mapping[int, FrozenTrial]
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the searched parameters, in order of first appearance."""
        return tuple(searched_by(self.trials.values()))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the parameters that are no keys of the configuration."""
        return tuple(name for name in self.parameters if not is_key(name))


def is_key(name: str) -> bool:
    """Whether a parameter's name is a key of the configuration."""
    return name.lstrip("+~") in known_keys()


@dataclass(frozen=True)
class Measured:
    """What a trial of another program reached.

    Attributes:
        outcome: how it ended
        values: one per objective; empty unless it is complete
        metrics: by name, the objectives included
        intermediate: values of the objective by step
        error: why it failed
    """

    outcome: Outcome
    values: Sequence[float] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    intermediate: Mapping[int, float] = field(default_factory=dict)
    error: str = ""


def ended_trial(
    parameters: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    measured: Measured,
    began: datetime | None,
    ended: datetime | None,
    attributes: Mapping[str, Any],
) -> FrozenTrial:
    """Build the record of an ended trial.

    Args:
        parameters: by name
        distributions: by name; one that lacks the trial's value is widened
        measured: what it reached
        began: local time; None if unknown, then it is the end
        ended: local time; None if unknown, then it is the start, or now
        attributes: further attributes of the record
    """
    state = state_of(measured.outcome)
    trial = create_trial(
        state=state,
        values=list(measured.values) if state is TrialState.COMPLETE else None,
        params=dict(parameters),
        distributions={
            name: containing(distributions[name], value) for name, value in parameters.items()
        },
        user_attrs={
            **attributes,
            GROUP: 0,
            REASON: measured.outcome.value,
            **({"metrics": dict(measured.metrics)} if measured.metrics else {}),
            **({"error": measured.error} if measured.error else {}),
        },
        intermediate_values=dict(measured.intermediate),
    )
    if state is TrialState.PRUNED and measured.values:
        trial.values = list(measured.values)
    now = trial.datetime_complete
    trial.datetime_start, trial.datetime_complete = began or ended or now, ended or began or now
    return trial
