"""Compare a study's event log with its record: parameters, reports and outcome of each trial.

Events are logged first, so the log of a running trial may be ahead of the record.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial

from ugro.events.events import (
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialRetried,
)
from ugro.events.outcome import Outcome
from ugro.study.study import Study
from ugro.study.trial_record import recorded_outcome


@dataclass
class LoggedTrial:
    """Logged events of a trial."""

    parameters: Mapping[str, Any] | None = None
    reports: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)  # by tokens
    was_paused: bool = False
    ended: Mapping[str, Any] | None = None


def logged_trials(events: Iterable[Mapping[str, Any]]) -> dict[int, LoggedTrial]:
    """Return the logged events by trial; a number asked again replaces the earlier trial."""
    trials: dict[int, LoggedTrial] = {}
    for event in events:
        if "number" not in event:
            continue
        trial = trials.setdefault(event["number"], LoggedTrial())
        match event["event"]:
            case TrialAsked.__name__:
                # Asked again: the driver had died before recording the trial.
                trials[event["number"]] = LoggedTrial(parameters=event["parameters"])
            case TrialReported.__name__:
                trial.reports.setdefault(event["tokens_seen"], []).append(event)
            case TrialPaused.__name__:
                trial.was_paused = True
            case TrialRetried.__name__:
                trial.ended = None
            case TrialFinished.__name__:
                trial.ended = event
    return trials


@dataclass(frozen=True)
class Difference:
    """A difference between log and record."""

    what: str
    not_in_log: bool = False


def disagreements(
    study: Study, events: Iterable[Mapping[str, Any]], cut_off: int = 0
) -> Iterator[str]:
    """Yield a line for each difference between log and record.

    Args:
        study: its record
        events: of its log, oldest first
        cut_off: number of truncated lines in the log; as many events may be missing
    """
    for difference in _differences(study, logged_trials(events)):
        if difference.not_in_log and cut_off:
            cut_off -= 1
        else:
            yield difference.what


def _differences(study: Study, log: Mapping[int, LoggedTrial]) -> Iterator[Difference]:
    for trial in study.of_all_groups():
        name = f"trial {trial.number}"
        if trial.number not in log:
            yield Difference(f"{name} is in the study and not in the log", not_in_log=True)
            continue
        yield from _compare_parameters(name, trial, log[trial.number])
        # The log of an imported study has no reports: another program made them, at unknown times.
        reported = {} if study.imported_from else trial.intermediate_values
        for resource, value in reported.items():
            yield from _compare_report(
                f"{name} at {resource} tokens", study, resource, value, log[trial.number]
            )
        if trial.state.is_finished():
            yield from _compare_outcome(name, trial, log[trial.number])
        elif recorded_outcome(trial) is Outcome.PAUSED and not log[trial.number].was_paused:
            yield Difference(f"{name}: paused in the study, no pause in the log", not_in_log=True)
    known = {trial.number for trial in study.every()}
    for number, logged in log.items():
        is_pending = number > max(known, default=-1) and logged.ended is None
        if number not in known and not is_pending:
            yield Difference(f"trial {number} is in the log and not in the study")


def _compare_parameters(name: str, trial: FrozenTrial, log: LoggedTrial) -> Iterator[Difference]:
    recorded = json.loads(json.dumps(trial.params, default=str))
    if log.parameters is not None and dict(log.parameters) != recorded:
        yield Difference(f"{name}: {log.parameters} in the log, {recorded} in the study")


def _compare_report(
    name: str, study: Study, resource: int, value: float, log: LoggedTrial
) -> Iterator[Difference]:
    reports = log.reports.get(resource)
    if reports is None:
        yield Difference(f"{name}: {value} in the study, nothing in the log", not_in_log=True)
        return
    objective = study.objectives[0] if len(study.objectives) == 1 else ""
    logged = [report[objective] for report in reports if objective in report]
    if logged and not any(_same(value, other) for other in logged):
        yield Difference(f"{name}: {logged[-1]} in the log, {value} in the study")


def _compare_outcome(name: str, trial: FrozenTrial, log: LoggedTrial) -> Iterator[Difference]:
    outcome = recorded_outcome(trial)
    if log.ended is None:
        state = trial.state.name.lower()
        yield Difference(f"{name}: {state} in the study, no end in the log", not_in_log=True)
        return
    if outcome is not None and log.ended["ending"] != outcome.value:
        yield Difference(f"{name}: {log.ended['ending']} in the log, {outcome.value} in the study")
    if outcome and outcome.has_value and log.ended["values"] != trial.values:
        values = log.ended["values"]
        yield Difference(f"{name}: values {values} in the log, {trial.values} in the study")


def _same(value: float, other: float) -> bool:
    return value == other or (math.isnan(value) and math.isnan(other))
