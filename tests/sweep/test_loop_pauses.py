"""The loop with a scheduler that pauses trials, on one slot unless said otherwise.

Rungs are at 100 and 200 tokens, a trial has 300; at each rung one of two trials is promoted.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hydra.core.utils import JobReturn

from ugro.errors import StudyFailed
from ugro.events.channel import Answer, TrialInterruptedError
from ugro.events.events import (
    Event,
    StudyFinished,
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialRetried,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.executors.executor import Listener, WorkerLostError
from ugro.study.trial_record import recorded_outcome, started, tokens_of

from ..studies import in_memory
from .scripted import Ran, Run, Script, Scripted

PROMOTION = (
    "scheduler=promotion_asha",
    "scheduler.grace_period=100",
    "scheduler.reduction_factor=2",
)
PAUSED, COMPLETE = Outcome.PAUSED, Outcome.COMPLETE


def of_level(*losses: float) -> Callable[[int], Script]:
    """Scripts of trials that report the same loss three times."""
    return lambda number: Script([losses[number]] * 3)


def steps(events: Sequence[Event]) -> list[tuple[int, int]]:
    """Trial and step of each report after step 0."""
    reports = [event for event in events if isinstance(event, TrialReported)]
    return [(event.number, event.report.step) for event in reports if event.report.step]


def numbers(events: Sequence[Event], kind: type[Any]) -> list[int]:
    return [event.number for event in events if isinstance(event, kind)]


def test_a_study_by_hand(run: Run) -> None:
    """At 100 tokens trial 1 beats 0, 3 the others, 5 all; 2 and 4 are behind.

    Trial 1 is alone at 200 and paused; of 1 and 3 there 3 is promoted, of 1, 3 and 5 it is 5.
    """
    ran = run(*PROMOTION, scripts=of_level(5.0, 4.0, 6.0, 3.0, 7.0, 2.0), slots=1)
    assert ran.endings() == [PAUSED, PAUSED, PAUSED, COMPLETE, PAUSED, COMPLETE]
    assert numbers(ran.events, TrialPaused) == [0, 1, 2, 4]
    assert numbers(ran.events, TrialResumed) == []  # a trial promoted at once goes on
    assert numbers(ran.events, TrialFinished) == [3, 5]
    assert [tokens_of(trial) for trial in ran.study.trials()] == [100, 200, 100, 300, 100, 300]
    best = ran.study.best()
    assert best is not None
    assert best.number == 5
    assert isinstance(ran.events[-1], StudyFinished)
    assert ran.events[-1].reason == "all trials are done"


def test_a_paused_trial_resumes_in_a_free_slot_before_a_new_one_starts(run: Run) -> None:
    # Of 0 and 1 trial 0 is promoted once 1 is behind it; at 200 it is alone, so 2 starts.
    ran = run(*PROMOTION, scripts=of_level(5.0, 6.0, 7.0), slots=1, total=3)
    assert steps(ran.events) == [(0, 1), (1, 1), (0, 2), (2, 1), (0, 3)]  # no step is repeated
    assert numbers(ran.events, TrialResumed) == [0, 0]  # at the end the best of the rung
    assert ran.endings() == [COMPLETE, PAUSED, PAUSED]


def test_slots_stay_free_rather_than_promote_too_early(run: Run) -> None:
    # All six start at once, and report in the order of their numbers: decisions are as above.
    ran = run(*PROMOTION, scripts=of_level(5.0, 4.0, 6.0, 3.0, 7.0, 2.0), slots=6)
    assert ran.slots.most == 6
    assert numbers(ran.events, TrialResumed) == []
    assert ran.endings() == [PAUSED, PAUSED, PAUSED, COMPLETE, PAUSED, COMPLETE]


def test_a_raised_number_of_trials_takes_up_paused_trials(run: Run) -> None:
    first = run(*PROMOTION, scripts=of_level(5.0), slots=1, total=1)
    assert first.endings() == [COMPLETE]  # the only trial comes to its end
    first = run(*PROMOTION, scripts=of_level(5.0, 6.0), slots=1, total=2)
    assert first.endings() == [COMPLETE, PAUSED]
    scripts = of_level(5.0, 6.0, 6.5, 7.0)
    again = run(*PROMOTION, slots=1, total=4, ran=Ran(first.study, one_slot(scripts), first.events))
    # 100: two of four, 0 and 1; trial 1 has waited since the first command. 200: one of two, 0.
    assert numbers(again.events, TrialResumed)[-1:] == [1]
    assert again.endings() == [COMPLETE, PAUSED, PAUSED, PAUSED]
    assert len(again.study.every()) == 4


def one_slot(scripts: Callable[[int], Script]) -> Scripted:
    return Scripted(scripts, lambda now: 1)


def test_the_same_command_again_runs_nothing(run: Run) -> None:
    first = run(*PROMOTION, scripts=of_level(5.0, 4.0, 6.0), slots=1, total=3)
    slots = one_slot(of_level(5.0, 4.0, 6.0))
    again = run(*PROMOTION, total=3, ran=Ran(first.study, slots, first.events))
    assert slots.submitted == []
    assert again.endings() == [PAUSED, COMPLETE, PAUSED]


def test_another_scheduler_runs_paused_trials_to_their_end(run: Run) -> None:
    first = run(*PROMOTION, scripts=of_level(5.0, 4.0, 6.0), slots=1, total=3)
    again = run("scheduler=none", total=3, ran=first)
    assert again.endings() == [COMPLETE] * 3
    assert numbers(again.events, TrialRetried) == [0, 2]


def test_a_trial_that_cannot_be_paused_continues(run: Run) -> None:
    class Deaf(Scripted):
        """Executor of trials that cannot save their state."""

        def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
            return super().wait(Unpausing(listener), seconds)

    slots = Deaf(of_level(5.0, 4.0, 6.0), lambda now: 1)
    ran = run(*PROMOTION, total=3, ran=Ran(in_memory(), slots, []))
    assert ran.endings() == [COMPLETE] * 3
    assert numbers(ran.events, TrialPaused) == []


def test_tokens_of_paused_trials_count_and_a_limit_leaves_them_paused(run: Run) -> None:
    # 100 of trial 0, 200 of trial 1, 100 of trial 2, which is paused when the limit is reached.
    scripts = of_level(5.0, 4.0, 6.0, 3.0)
    ran = run(*PROMOTION, "study.max_tokens=400", scripts=scripts, slots=1)
    assert isinstance(ran.events[-1], StudyFinished)
    assert ran.events[-1].reason == "study.max_tokens=400"
    assert ran.endings() == [PAUSED] * 3


def test_the_time_limit_of_a_trial_counts_its_time_before_a_pause(run: Run) -> None:
    # A report takes a second: trial 0 has run for two at its second report, and waited for one.
    scripts = of_level(5.0, 6.0)
    ran = run(*PROMOTION, "stoppers.max_seconds=2", scripts=scripts, slots=1, total=2)
    assert steps(ran.events) == [(0, 1), (1, 1), (0, 2)]
    assert ran.endings() == [Outcome.TIMED_OUT, PAUSED]


def test_a_paused_trial_is_no_failure_and_shows_that_trials_work(run: Run) -> None:
    def scripts(number: int) -> Script:
        return Script([9.0 - number] * 3, raises=KeyError("x"))

    # Trials 0 and 1 are paused; 2 and 3 are the best so far at each rung, and fail at their end.
    with pytest.raises(StudyFailed, match=r"^2 trials failed, more than .*max_failure_rate"):
        run(*PROMOTION, "study.fail_fast=2", scripts=scripts, slots=1, max_failures=1)


class Unpausing:
    """Listener whose answers never pause a trial."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.started, self.interrupted = listener.started, listener.interrupted

    def reported(self, number: int, report: Report) -> Answer:
        answer = self._listener.reported(number, report)
        return Answer.CONTINUE if answer is Answer.PAUSE else answer


# Faults


class Lossy(Scripted):
    """Executor that loses the worker of each trial that is told to pause, before it has saved."""

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        ended = super().wait(listener, seconds)
        if ended is not None and isinstance(ended[1]._return_value, TrialInterruptedError):
            ended[1]._return_value = WorkerLostError("gone")
            self._paused.pop(ended[0])  # it has no checkpoint
        return ended


def test_a_trial_whose_worker_is_lost_while_it_is_paused_repeats_the_report_when_it_resumes(
    run: Run,
) -> None:
    slots = Lossy(of_level(5.0, 6.0, 7.0), lambda now: 1)
    ran = run(*PROMOTION, total=3, ran=Ran(in_memory(), slots, []))
    assert ran.endings() == [COMPLETE, PAUSED, PAUSED]
    resumed = [(0, 1), (1, 1), (0, 1), (0, 2), (2, 1), (0, 1), (0, 2), (0, 3)]
    assert steps(ran.events) == resumed  # trial 0 begins anew, and is paused once at each rung
    assert numbers(ran.events, TrialRetried) == []


def test_a_driver_that_dies_while_a_trial_is_being_paused_leaves_it_paused(run: Run) -> None:
    class Dies(Scripted):
        def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
            ended = super().wait(listener, seconds)
            if ended is not None:
                raise KeyboardInterrupt
            return ended

    slots = Dies(of_level(5.0, 6.0, 7.0), lambda now: 1)
    ran = Ran(in_memory(), slots, [])
    with pytest.raises(KeyboardInterrupt):
        run(*PROMOTION, total=3, ran=ran)
    [trial] = ran.study.trials()
    assert recorded_outcome(trial) is PAUSED
    # Killed, it would have recorded neither this nor the pause.
    ran.study.tell(started(trial), Outcome.INTERRUPTED)
    ran.events[:] = [event for event in ran.events if not isinstance(event, TrialPaused)]
    again = run(
        *PROMOTION, total=3, ran=Ran(ran.study, one_slot(of_level(5.0, 6.0, 7.0)), ran.events)
    )
    assert again.endings() == [COMPLETE, PAUSED, PAUSED]
    assert numbers(again.events, TrialAsked) == [0, 1, 2]
    assert numbers(again.events, TrialResumed) == [0, 0]
    assert numbers(again.events, TrialRetried) == []


def test_a_driver_that_dies_while_a_trial_resumes_resumes_it_first(run: Run) -> None:
    first = run(
        *PROMOTION, scripts=of_level(5.0, 6.0, 7.0), slots=1, interrupted=lambda now: now >= 2
    )
    assert first.endings() == [PAUSED] * 2
    first.events.append(TrialResumed(0))  # logged, and nothing else
    slots = one_slot(of_level(5.0, 6.0, 7.0))
    again = run(*PROMOTION, total=3, ran=Ran(first.study, slots, first.events))
    assert slots.submitted[0][0] == 0
    assert numbers(again.events, TrialRetried) == [0]
    assert again.endings() == [COMPLETE, PAUSED, PAUSED]


def test_a_report_that_pauses_is_logged_as_such(run: Run) -> None:
    ran = run(*PROMOTION, scripts=of_level(5.0), slots=1, interrupted=lambda now: now >= 1)
    logged = [event for event in ran.events if isinstance(event, TrialReported)]
    assert [(one.report.tokens_seen, one.stop, one.rung) for one in logged] == [
        (0, None, 0),
        (100, PAUSED, 1),
    ]
