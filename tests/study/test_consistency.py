import math
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from tests.studies import in_memory, start
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.consistency import disagreements
from ugro.study.study import Study
from ugro.study.trial_record import started

SPACE = {
    "lora.r": optuna.distributions.CategoricalDistribution((4, 8)),
    "lora.use_dora": optuna.distributions.CategoricalDistribution((False, True)),
}
Log = list[dict[str, Any]]


@pytest.fixture
def study() -> Study:
    """Study with a complete trial, a diverged one and a running one."""
    study = in_memory(objectives=["eval_loss"])
    for number, (outcome, losses) in enumerate(
        [(Outcome.COMPLETE, (3.0, 2.5)), (Outcome.DIVERGED, (3.0, math.nan)), (None, (3.0,))]
    ):
        trial = start(study, SPACE)
        assert trial.number == number
        for step, loss in enumerate(losses):
            study.report(trial, step * 100, loss)
        if outcome:
            study.tell(trial, outcome, TrialResult((2.5,), {"eval_loss": 2.5}))
    return study


@pytest.fixture
def log() -> Log:
    """Log of these trials."""
    events: Log = [{"event": "StudyStarted"}]
    for number, losses in enumerate([(3.0, 2.5), (3.0, math.nan), (3.0, 2.75)]):
        parameters = {"lora.r": 4, "lora.use_dora": False}
        events.append({"event": "TrialAsked", "number": number, "parameters": parameters})
        events += [
            {"event": "TrialReported", "number": number, "tokens_seen": s * 100, "eval_loss": loss}
            for s, loss in enumerate(losses)
        ]
    finished = {"event": "TrialFinished", "number": 0, "ending": "complete", "values": [2.5]}
    return [*events, finished, {**finished, "number": 1, "ending": "diverged", "values": []}]


def found(study: Study, log: Log, cut_off: int = 0) -> list[str]:
    return list(disagreements(study, log, cut_off))


def test_a_log_may_be_ahead_of_a_running_or_just_asked_trial(study: Study, log: Log) -> None:
    assert found(study, log) == []
    assert found(study, [*log, {"event": "TrialAsked", "number": 3, "parameters": {}}]) == []


def find(log: Log, event: str, number: int) -> dict[str, Any]:
    return next(each for each in log if each["event"] == event and each["number"] == number)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda log: find(log, "TrialAsked", 0)["parameters"].update({"lora.r": 8}),
            "trial 0: {'lora.r': 8, 'lora.use_dora': False} in the log, "
            "{'lora.r': 4, 'lora.use_dora': False} in the study",
        ),
        (
            lambda log: find(log, "TrialFinished", 0).update(values=[2.0]),
            "trial 0: values [2.0] in the log, [2.5] in the study",
        ),
        (
            lambda log: find(log, "TrialFinished", 1).update(ending="rung"),
            "trial 1: rung in the log, diverged in the study",
        ),
        (
            lambda log: find(log, "TrialReported", 2).update(eval_loss=9.0),
            "trial 2 at 0 tokens: 9.0 in the log, 3.0 in the study",
        ),
        (
            lambda log: log.remove(find(log, "TrialReported", 1)),
            "trial 1 at 0 tokens: 3.0 in the study, nothing in the log",
        ),
        (
            lambda log: log.remove(find(log, "TrialFinished", 1)),
            "trial 1: pruned in the study, no end in the log",
        ),
        (
            lambda log: log.append({"event": "TrialRetried", "number": 0}),
            "trial 0: complete in the study, no end in the log",
        ),
        (
            lambda log: log.append({"event": "TrialFinished", "number": 7, "ending": "rung"}),
            "trial 7 is in the log and not in the study",
        ),
    ],
)
def test_each_difference_is_a_line(
    change: Callable[[Log], object], line: str, study: Study, log: Log
) -> None:
    change(log)
    assert found(study, log) == [line]


def test_a_paused_trial_agrees_with_the_log_of_its_pause(study: Study, log: Log) -> None:
    study.tell(started(study.trials()[2]), Outcome.PAUSED)
    assert found(study, log) == ["trial 2: paused in the study, no pause in the log"]
    log.append({"event": "TrialPaused", "number": 2})
    assert found(study, log) == []
    log.append({"event": "TrialResumed", "number": 2})  # the log may be ahead
    assert found(study, log) == []


def test_a_trial_missing_in_the_log_is_reported(study: Study, log: Log) -> None:
    log = [event for event in log if event.get("number") != 2]
    assert found(study, log) == ["trial 2 is in the study and not in the log"]


def test_as_many_events_may_be_missing_as_lines_are_truncated(study: Study, log: Log) -> None:
    log.remove(find(log, "TrialFinished", 1))
    log.remove(find(log, "TrialReported", 0))
    assert len(found(study, log)) == 2
    assert len(found(study, log, cut_off=1)) == 1
    assert found(study, log, cut_off=2) == []
    find(log, "TrialFinished", 0).update(values=[2.0])
    assert len(found(study, log, cut_off=2)) == 1  # a different event is not a missing one


def test_a_number_asked_again_replaces_the_earlier_trial(study: Study, log: Log) -> None:
    """The driver had died before recording the first one."""
    log.insert(1, {"event": "TrialAsked", "number": 0, "parameters": {"lora.r": 8}})
    log.insert(2, {"event": "TrialReported", "number": 0, "tokens_seen": 0, "eval_loss": 7.0})
    assert found(study, log) == []


def test_a_withdrawn_trial_is_no_difference(study: Study, log: Log) -> None:
    study.tell(start(study, SPACE), Outcome.WITHDRAWN)
    assert found(study, log) == []
    assert found(study, [*log, {"event": "TrialAsked", "number": 3, "parameters": {}}]) == []
