"""The loop: fills slots, passes reports to trials' decisions and records outcomes."""

import time

import pytest
from optuna.trial import TrialState

from ugro.errors import UserError
from ugro.events.events import (
    Event,
    SlotsCounted,
    StudyFinished,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.executors.executor import Task

from ..studies import in_memory
from .scripted import Ran, Run, Script, Scripted


def test_a_free_slot_gets_the_next_trial_at_once(run: Run) -> None:
    ran = run(scripts=lambda number: Script([3.0] * (10 if number == 0 else 2)))
    # The first takes ten seconds; beside it the others take two each, one after the other.
    assert ran.slots.submitted == [(0, 0), (1, 0), (2, 2), (3, 4), (4, 6), (5, 8)]
    assert ran.endings() == [Outcome.COMPLETE] * 6


@pytest.mark.parametrize(("n_jobs", "most"), [(1, 1), (3, 3), ("auto", 2)])
def test_n_jobs_limits_concurrent_trials(n_jobs: int | str, most: int, run: Run) -> None:
    assert run(n_jobs=n_jobs).slots.most == most


def test_new_slots_are_used_while_no_trial_ends(run: Run) -> None:
    ran = run(scripts=lambda number: Script([3.0] * 30), slots=lambda now: 1 if now < 4 else 3)
    assert ran.slots.submitted[:3] == [(0, 0), (1, 4), (2, 4)]
    counted = [event.slots for event in ran.events if isinstance(event, SlotsCounted)]
    assert counted == [1, 3]


def test_all_events_are_emitted_in_order(run: Run) -> None:
    ran = run(slots=1, scripts=lambda number: Script([3.0 - number]))
    of_the_first = [type(event).__name__ for event in ran.events[:6]]
    assert of_the_first == [
        "SlotsCounted",
        "TrialAsked",
        "TrialStarted",
        "TrialReported",
        "TrialReported",
        "TrialFinished",
    ]
    for kind in (TrialAsked, TrialStarted, TrialFinished):
        numbers = [event.number for event in ran.events if isinstance(event, kind)]
        assert numbers == [0, 1, 2, 3, 4, 5]
    last = ran.events[-1]
    assert isinstance(last, StudyFinished)
    assert last.reason == "all trials are done"


def test_a_stopped_trial_is_pruned_with_its_intermediate_values(run: Run) -> None:
    halving = ("scheduler=asha", "scheduler.grace_period=200", "scheduler.reduction_factor=2")
    ran = run(*halving, slots=1, scripts=lambda number: Script([5.0 + number] * 8))
    assert ran.endings() == [Outcome.COMPLETE] + [Outcome.RUNG] * 5
    stopped = ran.study.trials()[1]
    assert stopped.state is TrialState.PRUNED
    assert stopped.intermediate_values == {100: 6.0, 200: 6.0}
    assert stopped.user_attrs["metrics"]["tokens_seen"] == 200
    reports = [one for one in ran.events if isinstance(one, TrialReported) and one.number == 1]
    assert [one.rung for one in reports] == [0, 0, 1]  # the first one at 200 tokens


def test_a_trial_that_no_longer_improves_is_complete_with_its_value(run: Run) -> None:
    ran = run("stoppers.plateau_patience=2", scripts=lambda number: Script([3.0] * 9))
    assert ran.endings() == [Outcome.PLATEAU] * 6
    assert [trial.value for trial in ran.study.trials()] == [3.0] * 6


def test_a_diverged_trial_is_pruned_and_the_others_continue(run: Run) -> None:
    ran = run(scripts=lambda n: Script([4.0, float("nan"), 3.0] if n == 1 else [4.0, 3.0]))
    assert ran.endings() == [Outcome.COMPLETE, Outcome.DIVERGED] + [Outcome.COMPLETE] * 4
    found = ran.study.best()
    assert found is not None
    assert found.number == 0


@pytest.mark.parametrize(
    ("limit", "ends_at"),
    [
        ("study.max_seconds=4", 4),
        ("study.max_tokens=800", 5),  # 600 of the first two, 200 at the second report at 4 s
        ("study.target=3.5", 4),  # the first two reach 3.0 after three seconds
    ],
)
def test_a_limit_ends_the_study_and_running_trials_at_their_next_report(
    limit: str, ends_at: float, run: Run
) -> None:
    ran = run(limit)
    assert ran.slots.now <= ends_at
    last = ran.events[-1]
    assert isinstance(last, StudyFinished)
    assert last.reason == limit
    assert ran.endings()[:2] == [Outcome.COMPLETE] * 2
    assert set(ran.endings()[2:]) <= {Outcome.STUDY_LIMIT}
    assert all(trial.state.is_finished() for trial in ran.study.trials())


# Constraints on results


def test_an_infeasible_result_is_never_the_best(run: Run) -> None:
    ran = run(
        constraints=["peak_memory_mb <= 1000 * lora.r"],
        scripts=lambda n: Script([9.0 - n], metrics={"peak_memory_mb": 3500.0}),
    )
    # Ranks 1 to 3 are infeasible; the others, of losses 6, 5 and 4, are not.
    assert ran.endings() == [Outcome.INFEASIBLE] * 3 + [Outcome.COMPLETE] * 3
    found = ran.study.best()
    assert found is not None
    assert found.value == 4.0
    better = run(
        constraints=["peak_memory_mb <= 1000 * lora.r"],
        scripts=lambda n: Script([1.0 + n], metrics={"peak_memory_mb": 3500.0}),
    )
    found = better.study.best()
    assert found is not None
    assert found.value == 4.0  # 1, 2 and 3 are better, and infeasible


def test_an_unmeasured_metric_is_reported_with_the_measured_ones(run: Run) -> None:
    with pytest.raises(UserError, match="'latency_ms' given, allowed: what the trial measured: ev"):
        run(constraints=["latency_ms <= 50"])


# Trials that are run again


def test_a_trial_is_logged_before_it_is_recorded(run: Run) -> None:
    study, early = in_memory(), []

    class Slow(list[Event]):
        def append(self, event: Event) -> None:
            if isinstance(event, TrialAsked):
                time.sleep(0.05)  # the recorder would have written it by then
                early.append(event.number not in {one.number for one in study.every()})
            super().append(event)

    run(ran=Ran(study, Scripted(lambda n: Script(), lambda now: 2), Slow()))
    assert early == [True] * 6


def test_a_task_has_a_time_limit_and_a_silence_limit(run: Run) -> None:
    given: list[tuple[float | None, float]] = []

    class Noting(Scripted):
        def submit(self, task: Task) -> None:
            given.append((task.limit_seconds, task.silence_seconds))
            super().submit(task)

    limits = ("stoppers.max_seconds=8", "study.max_seconds=10", "stoppers.kill_after_seconds=60")
    run(*limits, ran=Ran(in_memory(), Noting(lambda n: Script(), lambda now: 1), []))
    # A trial takes three seconds; of the study's ten there are 10, 7, 4 and 1 left.
    assert given == [(8, 60), (7, 60), (4, 60), (1, 60)]
