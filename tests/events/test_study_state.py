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
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.study_state import Gain, StudyState
from ugro.events.trial_report import Report


def started(
    trials: int = 10, finished: int = 0, *directions: str, **configuration: Any
) -> StudyStarted:
    directions = directions or ("minimize",)
    names = ("eval_loss", "latency_ms")[: len(directions)]
    return StudyStarted(
        "s",
        "multirun/s",
        trials,
        finished,
        names,
        directions,
        configuration=configuration,
        time=1000.0,
    )


def at(*events: Event) -> StudyState:
    state = StudyState()
    for event in events:
        state.observe(event)
    return state


def asked(number: int, time: float = 1000.0, source: str = "sampler", **parameters: Any) -> Event:
    return TrialAsked(
        number, {f"lora.{key}": value for key, value in parameters.items()}, source, time=time
    )


def reported(number: int, step: int, tokens: int, seconds: float, rung: int = 0) -> Event:
    report = Report(step, 100, tokens, 10_000, seconds, {"eval_loss": 3.0}, time=0.0)
    return TrialReported(number, report, None, rung)


def complete(number: int, *values: float, time: float = 1000.0) -> Event:
    return TrialFinished(number, Outcome.COMPLETE, values, {}, time=time)


def test_throughput_is_measured_between_the_last_two_reports() -> None:
    state = at(started(), asked(0))
    speeds = []
    for tokens, seconds in ((0, 0.5), (1000, 2.5), (4000, 6.5)):
        state.observe(reported(0, 1, tokens, seconds))
        speeds.append(state.running[0].tokens_per_second)
    assert speeds == [None, 500.0, 750.0]  # 1000 / 2 s, 3000 / 4 s


def test_a_trial_resumed_from_its_checkpoint_has_no_speed_yet() -> None:
    state = at(started(), asked(0), reported(0, 1, 1000, 2.0), reported(0, 2, 2000, 4.0))
    state.observe(TrialRetried(0, "its worker was lost", 1))
    state.observe(reported(0, 1, 1000, 2.0))
    assert state.running[0].tokens_per_second is None
    assert list(state.running) == [0]


def test_the_remaining_time_follows_from_the_mean_trial_length_and_the_slots() -> None:
    state = at(started(10), SlotsCounted(2), asked(0), asked(1))
    assert state.seconds_left(1000.0) is None
    for number, start, end in ((0, 1000.0, 1010.0), (1, 1002.0, 1022.0)):
        state.observe(TrialStarted(number, time=start))
        state.observe(complete(number, 3.0, time=end))
    for number in (2, 3):
        state.observe(asked(number, time=1020.0))
        state.observe(TrialStarted(number, time=1020.0 if number == 2 else 1025.0))
    # Mean (10 + 20) / 2 = 15 s; six wait: 90 s; two run since 10 and 5 s: 5 + 10 s; two slots.
    assert state.seconds_left(1030.0) == (90 + 15) / 2
    # Only the running ones are left, and the longer one takes 10 s more whatever the slots.
    state.study = started(4)  # type: ignore[assignment]
    assert state.seconds_left(1030.0) == 10
    assert state.seconds_left(2000.0) == 0


def test_a_paused_trial_has_neither_ended_nor_does_it_run_or_wait() -> None:
    state = at(started(10), SlotsCounted(2), asked(0), TrialPaused(0, time=1010.0))
    assert (state.paused, state.running, state.done) == ({0}, {}, 0)
    assert state.seconds_left(1010.0) == 9 * 10 / 2
    state.observe(TrialResumed(0, time=1020.0))
    assert (state.paused, list(state.running)) == (set(), [0])
    state.observe(complete(0, 3.0, time=1030.0))
    assert state.seconds_left(1030.0) == 9 * 20 / 2  # 10 s before its pause and 10 s after


def test_paused_trials_of_earlier_and_other_drivers_are_known() -> None:
    earlier = [as_dict(event) for event in (asked(0), asked(1), asked(2), TrialPaused(0))]
    others = iter([[as_dict(TrialPaused(1)), as_dict(TrialPaused(2))], [as_dict(TrialResumed(1))]])
    state = StudyState(earlier, lambda: next(others))
    state.observe(started(10))
    assert state.paused == {0}
    state.observe_others()
    assert state.paused == {0, 1, 2}
    state.observe_others()
    assert state.paused == {0, 2}


def test_the_remaining_time_respects_the_time_limit() -> None:
    start = started(1000, 0, study={"max_seconds": 60})
    state = at(start, SlotsCounted(1), asked(0), complete(0, 3.0, time=1010.0))
    assert state.seconds_left(1010.0) == 50


@pytest.mark.parametrize(
    ("direction", "values", "best", "gain"),
    [
        ("minimize", (4.0, 3.5, 3.75), 1, Gain(0, 0.5, 0.125)),
        ("maximize", (0.5, 0.25, 0.75), 2, Gain(0, 0.25, 0.5)),
        ("minimize", (2.0, 3.5, 3.75), 0, None),
        ("minimize", (0.0, -0.5, 1.0), 1, Gain(0, 0.5, None)),
    ],
)
def test_the_gain_is_the_improvement_over_the_baseline(
    direction: str, values: Sequence[float], best: int, gain: Gain | None
) -> None:
    state = at(started(10, 0, direction), asked(0, source="baseline"))
    for number, value in enumerate(values):
        state.observe(complete(number, value))
    assert state.best() == best
    assert state.gain() == gain


def test_a_trial_without_a_value_or_with_nan_is_never_the_best() -> None:
    state = at(started(), complete(0, math.nan), TrialFinished(1, Outcome.DIVERGED, (), {}))
    assert state.best() is None
    assert state.gain() is None
    assert state.counts == {"complete": 1, "diverged": 1}


def test_several_objectives_have_a_best_each_and_a_pareto_front() -> None:
    state = at(started(10, 0, "minimize", "maximize"))
    # 2 is worse than 0 in both; 3 is better than 1 in both; 4 is as good as 0 in both.
    for number, values in enumerate([(2.0, 5.0), (3.0, 8.0), (2.5, 4.0), (2.9, 9.0), (2.0, 5.0)]):
        state.observe(complete(number, *values))
    assert state.front == {0, 3}
    assert (state.best(0), state.best(1)) == (0, 3)


def test_a_resumed_study_counts_the_logged_trials() -> None:
    earlier = [
        {"event": "TrialAsked", "number": 0, "parameters": {"lora.r": 16}, "source": "baseline"},
        {"event": "TrialFinished", "number": 0, "ending": "complete", "values": [4.0]},
        {"event": "TrialAsked", "number": 1, "parameters": {"lora.r": 8}, "source": "sampler"},
        {"event": "TrialFinished", "number": 1, "ending": "interrupted", "values": []},
        {"event": "TrialFinished", "number": 2, "ending": "rung", "values": []},
    ]
    state = StudyState(earlier)
    state.observe(started(10, 3))  # one of the three is not in the log
    assert state.done == 3
    assert state.counts == {"complete": 1, "stopped at rung": 1, "earlier": 1}
    state.observe(TrialRetried(1, "it was interrupted", 0))
    assert state.differing(1) == {"lora.r": 8}
    state.observe(complete(1, 3.0))
    assert state.gain() == Gain(0, 1.0, 0.25)
    assert state.done == 4


def test_outcomes_in_the_log_do_not_count_for_a_new_record() -> None:
    state = StudyState([{"event": "TrialFinished", "number": 0, "ending": "rung", "values": []}])
    state.observe(started(10, 0))
    assert state.done == 0


def test_other_drivers_trials_count() -> None:
    others = [[{"event": "TrialFinished", "number": 7, "ending": "complete", "values": [2.0]}], []]
    state = StudyState(others=lambda: others.pop(0))
    state.observe(started())
    state.observe(complete(0, 3.0))
    state.observe_others()
    assert (state.done, state.best()) == (2, 7)


def test_differing_parameters_are_those_not_as_configured() -> None:
    lora = {"r": 16, "dropout": 0.0, "targets": ["q_proj", "v_proj"], "alpha": "${multiply:2}"}
    own = {"r": 8, "dropout": 0.0, "targets": "[q_proj,v_proj]", "alpha": 32, "bias": "all"}
    state = at(started(10, 0, lora=lora), asked(0, **own))
    assert state.differing(0) == {"lora.r": 8, "lora.alpha": 32, "lora.bias": "all"}


def test_an_interrupted_trial_has_not_ended() -> None:
    state = at(started(), asked(0), TrialFinished(0, Outcome.INTERRUPTED, (), {}))
    assert state.done == 0
    assert not state.running


def test_trials_of_an_earlier_group_are_neither_ranked_nor_counted() -> None:
    before = (started(), asked(0, source="baseline", r=4), complete(0, 1.0))
    anew = replace(started(), group=1)
    state = at(*before, anew, TrialAsked(1, {"lora.r": 8}, "sampler", 1), complete(1, 3.0))
    assert (state.best(), state.done, state.baseline) == (1, 1, None)
    lines = [{**as_dict(event), "by": "another"} for event in before]
    later = StudyState(lines)
    later.observe(anew)
    assert (later.best(), later.done, later.baseline) == (None, 0, None)
