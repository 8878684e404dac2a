import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ugro.events.event_log import as_dict
from ugro.events.events import (
    Event,
    SlotsCounted,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.study_state import Gain, StudyState
from ugro.events.trial_report import Report


def begun(
    trials: int = 10, finished: int = 0, *directions: str, **configuration: Any
) -> StudyStarted:
    told = directions or ("minimize",)
    names = ("eval_loss", "latency_ms")[: len(told)]
    return StudyStarted(
        "s", "multirun/s", trials, finished, names, told, configuration=configuration, time=1000.0
    )


def at(*events: Event) -> StudyState:
    standing = StudyState()
    for event in events:
        standing.observe(event)
    return standing


def asked(number: int, time: float = 1000.0, source: str = "sampler", **parameters: Any) -> Event:
    return TrialAsked(
        number, {f"lora.{key}": one for key, one in parameters.items()}, source, time=time
    )


def reported(number: int, step: int, tokens: int, seconds: float, rung: int = 0) -> Event:
    report = Report(step, 100, tokens, 10_000, seconds, {"eval_loss": 3.0}, time=0.0)
    return TrialReported(number, report, None, rung)


def complete(number: int, *values: float, time: float = 1000.0) -> Event:
    return TrialFinished(number, Outcome.COMPLETE, values, {}, time=time)


def test_tokens_a_second_are_those_between_the_last_two_reports() -> None:
    standing = at(begun(), asked(0))
    speeds = []
    for tokens, seconds in ((0, 0.5), (1000, 2.5), (4000, 6.5)):
        standing.observe(reported(0, 1, tokens, seconds))
        speeds.append(standing.running[0].tokens_per_second)
    assert speeds == [None, 500.0, 750.0]  # 1000 / 2 s, 3000 / 4 s


def test_a_trial_that_goes_on_from_its_checkpoint_has_no_speed_yet() -> None:
    standing = at(begun(), asked(0), reported(0, 1, 1000, 2.0), reported(0, 2, 2000, 4.0))
    standing.observe(TrialRetried(0, "its worker was lost", 1))
    standing.observe(reported(0, 1, 1000, 2.0))
    assert standing.running[0].tokens_per_second is None
    assert list(standing.running) == [0]


def test_the_end_is_expected_from_the_mean_trial_what_is_left_and_the_slots() -> None:
    standing = at(begun(10), SlotsCounted(2), asked(0), asked(1))
    assert standing.seconds_left(1000.0) is None
    for number, start, end in ((0, 1000.0, 1010.0), (1, 1002.0, 1022.0)):
        standing.observe(TrialStarted(number, time=start))
        standing.observe(complete(number, 3.0, time=end))
    for number in (2, 3):
        standing.observe(asked(number, time=1020.0))
        standing.observe(TrialStarted(number, time=1020.0 if number == 2 else 1025.0))
    # Mean (10 + 20) / 2 = 15 s; six wait: 90 s; two run since 10 and 5 s: 5 + 10 s; two slots.
    assert standing.seconds_left(1030.0) == (90 + 15) / 2
    # Only the running ones are left, and the longer one takes 10 s more whatever the slots.
    standing.study = begun(4)  # type: ignore[assignment]
    assert standing.seconds_left(1030.0) == 10
    assert standing.seconds_left(2000.0) == 0


def test_a_study_with_a_time_limit_ends_then_at_the_latest() -> None:
    start = begun(1000, 0, study={"max_seconds": 60})
    standing = at(start, SlotsCounted(1), asked(0), complete(0, 3.0, time=1010.0))
    assert standing.seconds_left(1010.0) == 50


@pytest.mark.parametrize(
    ("direction", "values", "best", "gain"),
    [
        ("minimize", (4.0, 3.5, 3.75), 1, Gain(0, 0.5, 0.125)),
        ("maximize", (0.5, 0.25, 0.75), 2, Gain(0, 0.25, 0.5)),
        ("minimize", (2.0, 3.5, 3.75), 0, None),
        ("minimize", (0.0, -0.5, 1.0), 1, Gain(0, 0.5, None)),
    ],
)
def test_the_gain_is_what_the_best_is_better_by_than_the_baseline(
    direction: str, values: Sequence[float], best: int, gain: Gain | None
) -> None:
    standing = at(begun(10, 0, direction), asked(0, source="baseline"))
    for number, value in enumerate(values):
        standing.observe(complete(number, value))
    assert standing.best() == best
    assert standing.gain() == gain


def test_no_value_and_none_that_is_no_number_is_the_best() -> None:
    standing = at(begun(), complete(0, math.nan), TrialFinished(1, Outcome.DIVERGED, (), {}))
    assert standing.best() is None
    assert standing.gain() is None
    assert standing.counts == {"complete": 1, "diverged": 1}


def test_of_several_objectives_each_has_its_best_and_the_front_is_kept() -> None:
    standing = at(begun(10, 0, "minimize", "maximize"))
    # 2 is worse than 0 in both; 3 is better than 1 in both; 4 is as good as 0 in both.
    for number, values in enumerate([(2.0, 5.0), (3.0, 8.0), (2.5, 4.0), (2.9, 9.0), (2.0, 5.0)]):
        standing.observe(complete(number, *values))
    assert standing.front == {0, 3}
    assert (standing.best(0), standing.best(1)) == (0, 3)


def test_a_resumed_study_knows_what_it_was_told_before() -> None:
    earlier = [
        {"event": "TrialAsked", "number": 0, "parameters": {"lora.r": 16}, "source": "baseline"},
        {"event": "TrialFinished", "number": 0, "ending": "complete", "values": [4.0]},
        {"event": "TrialAsked", "number": 1, "parameters": {"lora.r": 8}, "source": "sampler"},
        {"event": "TrialFinished", "number": 1, "ending": "interrupted", "values": []},
        {"event": "TrialFinished", "number": 2, "ending": "rung", "values": []},
    ]
    standing = StudyState(earlier)
    standing.observe(begun(10, 3))  # one of the three is not in the log
    assert standing.done == 3
    assert standing.counts == {"complete": 1, "stopped at rung": 1, "earlier": 1}
    standing.observe(TrialRetried(1, "it was interrupted", 0))
    assert standing.differing(1) == {"lora.r": 8}
    standing.observe(complete(1, 3.0))
    assert standing.gain() == Gain(0, 1.0, 0.25)
    assert standing.done == 4


def test_a_log_that_is_left_of_a_study_begun_anew_does_not_count() -> None:
    standing = StudyState([{"event": "TrialFinished", "number": 0, "ending": "rung", "values": []}])
    standing.observe(begun(10, 0))
    assert standing.done == 0


def test_other_drivers_trials_count() -> None:
    others = [[{"event": "TrialFinished", "number": 7, "ending": "complete", "values": [2.0]}], []]
    standing = StudyState(others=lambda: others.pop(0))
    standing.observe(begun())
    standing.observe(complete(0, 3.0))
    standing.hear_others()
    assert (standing.done, standing.best()) == (2, 7)


def test_what_differs_are_the_parameters_that_are_not_as_configured() -> None:
    lora = {"r": 16, "dropout": 0.0, "targets": ["q_proj", "v_proj"], "alpha": "${multiply:2}"}
    own = {"r": 8, "dropout": 0.0, "targets": "[q_proj,v_proj]", "alpha": 32, "bias": "all"}
    standing = at(begun(10, 0, lora=lora), asked(0, **own))
    assert standing.differing(0) == {"lora.r": 8, "lora.alpha": 32, "lora.bias": "all"}


def test_an_interrupted_trial_has_not_ended() -> None:
    standing = at(begun(), asked(0), TrialFinished(0, Outcome.INTERRUPTED, (), {}))
    assert standing.done == 0
    assert not standing.running


def test_trials_of_an_earlier_group_are_not_the_best_and_do_not_count() -> None:
    before = (begun(), asked(0, source="baseline", r=4), complete(0, 1.0))
    anew = replace(begun(), group=1)
    standing = at(*before, anew, TrialAsked(1, {"lora.r": 8}, "sampler", 1), complete(1, 3.0))
    assert (standing.best(), standing.done, standing.baseline) == (1, 1, None)
    lines = [{**as_dict(event), "by": "another"} for event in before]
    later = StudyState(lines)
    later.observe(anew)
    assert (later.best(), later.done, later.baseline) == (None, 0, None)
