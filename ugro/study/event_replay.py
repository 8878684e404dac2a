"""Put trials into a record that only the event log has: the record was lost, or is an old copy."""

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
    TrialReported,
    TrialRetried,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.objectives.objectives import Objectives, objectives_of
from ugro.space.comparability import data_by_search
from ugro.study.study import GROUP, REASON, Study, last_value, state_of


@dataclass
class Replayed:
    """What the log tells of a trial."""

    asked: Mapping[str, Any]
    space: Mapping[str, BaseDistribution]
    reports: dict[int, Report] = field(default_factory=dict)  # by tokens
    retried: int = 0
    ended: Mapping[str, Any] | None = None


@dataclass
class Replay:
    """What the log tells of a study.

    Attributes:
        begun: the latest ``StudyStarted``
        data: fingerprints of the latest group's data, by what of it was searched
        tests: what trials of the latest group measured on the test part, by their number
    """

    begun: Mapping[str, Any] | None = None
    trials: dict[int, Replayed] = field(default_factory=dict)
    data: dict[str, dict[str, str]] = field(default_factory=dict)
    tests: dict[int, Mapping[str, float]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether a record can be made of it; logs of earlier versions do not have the space."""
        return self.begun is not None and bool(self.begun.get("definition"))


def replay(events: Iterable[Mapping[str, Any]]) -> Replay:
    """Read a log; of two tales of a trial the later one holds."""
    found = Replay()
    space: dict[str, BaseDistribution] = {}
    for said in events:
        if said["event"] == StudyStarted.__name__:
            if found.begun and said.get("group", 0) != found.begun.get("group", 0):
                found.data, found.tests = {}, {}
            found.begun = said
            space = {key: json_to_distribution(one) for key, one in said.get("space", {}).items()}
        elif said["event"] == TrialAsked.__name__:
            found.trials[said["number"]] = Replayed(said, space)
        elif said.get("number") in found.trials:
            _hear(found, found.trials[said["number"]], said)
    return found


def _hear(found: Replay, trial: Replayed, said: Mapping[str, Any]) -> None:
    match said["event"]:
        case TrialReported.__name__:
            report = Report.from_dict(said)
            trial.reports[report.tokens_seen] = report
            _note(found, trial, report.data)
        case TrialRetried.__name__:
            trial.retried, trial.ended = said["times"], None
        case TestMeasured.__name__:
            found.tests[said["number"]] = said["metrics"]
        case TrialFinished.__name__:
            trial.ended = said
            _note(found, trial, said.get("provenance", {}))


def _note(found: Replay, trial: Replayed, told: Mapping[str, str]) -> None:
    if found.begun and trial.asked.get("group", 0) == found.begun.get("group", 0):
        for of, parts in data_by_search(trial.asked["parameters"], told):
            found.data[of] = {**parts, **found.data.get(of, {})}


def catch_up(study: Study, found: Replay) -> int:
    """Add the trials that the record does not have, under their numbers.

    A number that the log does not tell of is taken by a withdrawn trial, so that none is used
    again.

    Args:
        study: without a trial, or with the first ones
        found: what its log tells

    Returns:
        how many trials were added
    """
    missing = range(len(study.every()), max(found.trials, default=-1) + 1)
    if not found.is_whole or not missing:
        return 0
    objectives = _objectives(found)
    for number in missing:
        told = found.trials.get(number)
        study.record.add_trial(_withdrawn() if told is None else _trial(told, objectives))
    return sum(number in found.trials for number in missing)


def restore(study: Study, found: Replay) -> None:
    """Write down what the study was begun as: its definition, its group, its data."""
    assert found.begun is not None
    study.take_group(found.begun.get("group", 0))
    study.define(found.begun["definition"])
    for of, parts in found.data.items():
        study.keep_data(of, parts)
    for number, measured in found.tests.items():
        study.tested(number, measured)


def _objectives(found: Replay) -> Objectives | None:
    """As configured; None where that cannot be told, and intermediate values with it."""
    configured = (found.begun or {}).get("configuration", {}).get("objectives")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(ObjectivesConfig), configured)
        config: Any = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, ValueError):
        return None
    return objectives_of(config)


def _trial(told: Replayed, objectives: Objectives | None) -> FrozenTrial:
    asked, ended = told.asked, told.ended
    how = Outcome(ended["ending"]) if ended else None
    state = TrialState.RUNNING if how is None else state_of(how)
    attributes: dict[str, Any] = {"source": asked["source"], GROUP: asked.get("group", 0)}
    if told.retried:
        attributes["retried"] = told.retried
    if ended and how:
        attributes |= {REASON: how.value}
        attributes |= {key: ended[key] for key in ("metrics", "error") if ended.get(key)}
    parameters = dict(asked["parameters"])
    trial = create_trial(
        state=state,
        values=list(ended["values"]) if ended and state is TrialState.COMPLETE else None,
        params=parameters,
        distributions={key: told.space[key] for key in parameters},
        user_attrs=attributes,
        intermediate_values={
            tokens: objectives.intermediate(report.metrics)
            for tokens, report in told.reports.items()
            if objectives and tokens
        },
    )
    if state is TrialState.PRUNED and objectives and len(objectives.names) == 1:
        last = last_value(trial)
        trial.values = list(last) if last else None
    trial.datetime_start = datetime.fromtimestamp(asked["time"])
    if ended and state.is_finished():
        trial.datetime_complete = datetime.fromtimestamp(ended["time"])
    return trial


def _withdrawn() -> FrozenTrial:
    attributes = {REASON: Outcome.WITHDRAWN.value}
    return create_trial(state=TrialState.FAIL, user_attrs=attributes)


def space_as_json(space: Mapping[str, BaseDistribution]) -> dict[str, str]:
    """Distributions as the log keeps them."""
    return {key: distribution_to_json(one) for key, one in space.items()}
