"""Compare a study's log with its record: each trial's parameters, reports and ending.

The log is written first: of a trial that runs it may tell more than the record.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial

from ugro.events.events import TrialAsked, TrialFinished, TrialReported, TrialRetried
from ugro.study.study import Study, ending


@dataclass
class Told:
    """What the log tells of a trial."""

    parameters: Mapping[str, Any] | None = None
    reports: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)  # by tokens
    ended: Mapping[str, Any] | None = None


def told(events: Iterable[Mapping[str, Any]]) -> dict[int, Told]:
    """What the log tells of each trial, by number; of two tales the later one holds."""
    trials: dict[int, Told] = {}
    for said in events:
        if "number" not in said:
            continue
        trial = trials.setdefault(said["number"], Told())
        match said["event"]:
            case TrialAsked.__name__:
                # Asked again under its number: the driver died before the record had it.
                trials[said["number"]] = Told(parameters=said["parameters"])
            case TrialReported.__name__:
                trial.reports.setdefault(said["tokens_seen"], []).append(said)
            case TrialRetried.__name__:
                trial.ended = None
            case TrialFinished.__name__:
                trial.ended = said
    return trials


@dataclass(frozen=True)
class Difference:
    """Something that one of them tells otherwise or not at all."""

    what: str
    not_in_log: bool = False


def disagreements(
    study: Study, events: Iterable[Mapping[str, Any]], cut_off: int = 0
) -> Iterator[str]:
    """Where log and record differ, a line each.

    Args:
        study: its record
        events: of its log, oldest first
        cut_off: lines of the log that are not whole; as much may be missing there
    """
    for difference in _differences(study, told(events)):
        if difference.not_in_log and cut_off:
            cut_off -= 1
        else:
            yield difference.what


def _differences(study: Study, log: Mapping[int, Told]) -> Iterator[Difference]:
    for trial in study.of_all_groups():
        name = f"trial {trial.number}"
        if trial.number not in log:
            yield Difference(f"{name} is in the study and not in the log", not_in_log=True)
            continue
        yield from _of_parameters(name, trial, log[trial.number])
        for resource, value in trial.intermediate_values.items():
            yield from _of_report(
                f"{name} at {resource} tokens", study, resource, value, log[trial.number]
            )
        if trial.state.is_finished():
            yield from _of_ending(name, trial, log[trial.number])
    known = {one.number for one in study.every()}
    for number, trial_told in log.items():
        begun_since = number > max(known, default=-1) and trial_told.ended is None
        if number not in known and not begun_since:
            yield Difference(f"trial {number} is in the log and not in the study")


def _of_parameters(name: str, trial: FrozenTrial, log: Told) -> Iterator[Difference]:
    recorded = json.loads(json.dumps(trial.params, default=str))
    if log.parameters is not None and dict(log.parameters) != recorded:
        yield Difference(f"{name}: {log.parameters} in the log, {recorded} in the study")


def _of_report(
    name: str, study: Study, resource: int, value: float, log: Told
) -> Iterator[Difference]:
    reports = log.reports.get(resource)
    if reports is None:
        yield Difference(f"{name}: {value} in the study, nothing in the log", not_in_log=True)
        return
    named = study.objectives[0] if len(study.objectives) == 1 else ""
    logged = [report[named] for report in reports if named in report]
    if logged and not any(_same(value, one) for one in logged):
        yield Difference(f"{name}: {logged[-1]} in the log, {value} in the study")


def _of_ending(name: str, trial: FrozenTrial, log: Told) -> Iterator[Difference]:
    how = ending(trial)
    if log.ended is None:
        state = trial.state.name.lower()
        yield Difference(f"{name}: {state} in the study, no end in the log", not_in_log=True)
        return
    if how is not None and log.ended["ending"] != how.value:
        yield Difference(f"{name}: {log.ended['ending']} in the log, {how.value} in the study")
    if how and how.has_value and log.ended["values"] != trial.values:
        values = log.ended["values"]
        yield Difference(f"{name}: values {values} in the log, {trial.values} in the study")


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
