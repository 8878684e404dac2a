"""Rebuild a study's record from its event log, for a record that is lost or outdated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import (
    BaseDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.config import ObjectivesConfig
from ugro.events.events import (
    StudyStarted,
    TestMeasured,
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialRetried,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.objectives.objectives import Objectives, objectives_of
from ugro.space.comparability import data_by_search
from ugro.study.study import Study
from ugro.study.trial_record import GROUP, REASON, last_value, state_of, withdrawn


@dataclass
class ReplayedTrial:
    """A trial as logged."""

    asked: Mapping[str, Any]
    space: Mapping[str, BaseDistribution]
    reports: dict[int, Report] = field(default_factory=dict)  # by tokens
    retried: int = 0
    is_paused: bool = False
    ended: Mapping[str, Any] | None = None

    @property
    def outcome(self) -> Outcome | None:
        """Outcome of the trial; None if it was running."""
        if self.ended is not None:
            return Outcome(self.ended["ending"])
        return Outcome.PAUSED if self.is_paused else None


@dataclass
class Replay:
    """A study as logged.

    Attributes:
        started: the latest ``StudyStarted``
        data: data fingerprints of the latest group, by the searched part of the data
        tests: metrics on the test part for trials of the latest group, by number
    """

    started: Mapping[str, Any] | None = None
    trials: dict[int, ReplayedTrial] = field(default_factory=dict)
    data: dict[str, dict[str, str]] = field(default_factory=dict)
    tests: dict[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether a record can be rebuilt; logs of earlier versions lack the search space."""
        return self.started is not None and bool(self.started.get("definition"))


def replay(events: Iterable[Mapping[str, Any]]) -> Replay:
    """Replay a log; a number asked again replaces the earlier trial."""
    replayed = Replay()
    space: dict[str, BaseDistribution] = {}
    for event in events:
        if event["event"] == StudyStarted.__name__:
            if replayed.started and event.get("group", 0) != replayed.started.get("group", 0):
                replayed.data, replayed.tests = {}, {}
            replayed.started = event
            space = {
                key: json_to_distribution(over) for key, over in event.get("space", {}).items()
            }
        elif event["event"] == TrialAsked.__name__:
            replayed.trials[event["number"]] = ReplayedTrial(event, space)
        elif event.get("number") in replayed.trials:
            _replay_trial(replayed, replayed.trials[event["number"]], event)
    return replayed


def _replay_trial(replayed: Replay, trial: ReplayedTrial, event: Mapping[str, Any]) -> None:
    match event["event"]:
        case TrialReported.__name__:
            report = Report.from_dict(event)
            trial.reports[report.tokens_seen] = report
            _add_fingerprints(replayed, trial, report.data)
        case TrialRetried.__name__:
            trial.retried, trial.ended, trial.is_paused = event["times"], None, False
        case TrialPaused.__name__:
            trial.is_paused = True
        case TrialResumed.__name__:
            trial.is_paused = False
        case TestMeasured.__name__:
            replayed.tests[event["number"]] = event["metrics"]
        case TrialFinished.__name__:
            trial.ended = event
            _add_fingerprints(replayed, trial, event.get("provenance", {}))


def _add_fingerprints(
    replayed: Replay, trial: ReplayedTrial, fingerprints: Mapping[str, str]
) -> None:
    if replayed.started and trial.asked.get("group", 0) == replayed.started.get("group", 0):
        for of, parts in data_by_search(trial.asked["parameters"], fingerprints):
            replayed.data[of] = {**parts, **replayed.data.get(of, {})}


def catch_up(study: Study, replayed: Replay) -> int:
    """Add the trials that the record lacks, under their numbers.

    Numbers that the log lacks are taken by withdrawn trials, so that they are not reused.

    Args:
        study: with a prefix of the logged trials, or empty
        replayed: its log

    Returns:
        Number of added trials.
    """
    missing = range(len(study.every()), max(replayed.trials, default=-1) + 1)
    if not replayed.is_complete or not missing:
        return 0
    objectives = _objectives(replayed)
    for number in missing:
        logged = replayed.trials.get(number)
        study.record.add_trial(withdrawn() if logged is None else _trial(logged, objectives))
    return sum(number in replayed.trials for number in missing)


def restore(study: Study, replayed: Replay) -> None:
    """Record the study's definition, group, data and test metrics."""
    assert replayed.started is not None
    study.take_group(replayed.started.get("group", 0))
    study.define(replayed.started["definition"])
    for of, parts in replayed.data.items():
        study.keep_data(of, parts)
    for number, measured in replayed.tests.items():
        study.tested(number, measured)


def _objectives(replayed: Replay) -> Objectives | None:
    """Return the configured objectives; None if unknown: then intermediate values are omitted."""
    configured = (replayed.started or {}).get("configuration", {}).get("objectives")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(ObjectivesConfig), configured)
        config: Any = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, ValueError):
        return None
    return objectives_of(config)


def _trial(logged: ReplayedTrial, objectives: Objectives | None) -> FrozenTrial:
    asked, ended, outcome = logged.asked, logged.ended, logged.outcome
    state = TrialState.RUNNING if outcome is None else state_of(outcome)
    attributes: dict[str, Any] = {"source": asked["source"], GROUP: asked.get("group", 0)}
    if logged.retried:
        attributes["retried"] = logged.retried
    if outcome is not None:
        attributes[REASON] = outcome.value
    if ended:
        attributes |= {key: ended[key] for key in ("metrics", "error") if ended.get(key)}
    parameters = dict(asked["parameters"])
    trial = create_trial(
        state=state,
        values=list(ended["values"]) if ended and state is TrialState.COMPLETE else None,
        params=parameters,
        distributions={key: logged.space[key] for key in parameters},
        user_attrs=attributes,
        intermediate_values={
            tokens: value
            for tokens, report in logged.reports.items()
            if objectives and tokens
            if (value := objectives.intermediate(report.metrics)) is not None
        },
    )
    if state is TrialState.PRUNED and objectives and len(objectives.names) == 1:
        last = last_value(trial)
        trial.values = list(last) if last else None
    trial.datetime_start = datetime.fromtimestamp(asked["time"])
    if ended and state.is_finished():
        trial.datetime_complete = datetime.fromtimestamp(ended["time"])
    return trial


def space_as_json(space: Mapping[str, BaseDistribution]) -> dict[str, str]:
    """Serialise distributions for the log."""
    return {key: distribution_to_json(over) for key, over in space.items()}
