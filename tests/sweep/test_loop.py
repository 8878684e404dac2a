"""The loop on slots whose trials are scripts and whose clock is a number."""

import errno
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import DictConfig
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, TrialState

from ugro.config import typed
from ugro.ending import Ending
from ugro.errors import StudyFailed, UserError
from ugro.events import (
    Event,
    EventStream,
    SlotsCounted,
    StudyFinished,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialRetried,
    TrialStarted,
)
from ugro.objectives import objectives_of
from ugro.record import storage
from ugro.record.recorder import Recorder
from ugro.record.study import Study, create_or_continue, ending, retried, tokens_of
from ugro.report import Report, TrialResult
from ugro.reporting import TrialInterruptedError
from ugro.schedulers.referee import Referee
from ugro.slots.simulated import Course, SimulatedSlots
from ugro.slots.slots import Listener, Task, TrialTimeoutError, WorkerLostError
from ugro.sweep.failures import Failures
from ugro.sweep.limits import Limits
from ugro.sweep.loop import Parts, Sweep
from ugro.sweep.peers import News, NoPeers, Peers
from ugro.sweep.proposals import Proposals
from ugro.sweep.sampling import Sampling

from ..spaces import Feasible
from ..studies import in_memory, start

SIX = ("lora.r=1,2,3,4,5,6",)


@dataclass
class Script:
    """What a trial does: losses at 100, 200, ... tokens, a second each; then how it ends."""

    losses: Sequence[float] = (5.0, 4.0, 3.0)
    raises: Exception | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    def course(self) -> Course:
        """The script as slots play it."""
        last = len(self.losses)
        reports = [
            Report(done, last, 100 * done, 100 * last, done, {"eval_loss": loss}, 0.0)
            for done, loss in enumerate([9.0, *self.losses])
        ]
        return Course(0.0, reports, self._result)

    def _result(self, told: Sequence[Report]) -> TrialResult:
        if self.raises is not None:
            raise self.raises
        done = told[-1].step
        loss = min(self.losses[: max(1, done)])
        metrics = {"eval_loss": loss, "tokens_seen": 100.0 * done, **self.metrics}
        return TrialResult((loss,), metrics)


class Scripted(SimulatedSlots):
    """Slots whose trials are scripts."""

    def __init__(self, scripts: Callable[[int], Script], count: Callable[[float], int]) -> None:
        super().__init__(lambda task: self._scripts(task.number).course(), count)
        self.most = 0
        self.submitted: list[tuple[int, float]] = []
        self._scripts = scripts

    def submit(self, task: Task) -> None:
        self.submitted.append((task.number, self.now))
        super().submit(task)
        self.most = max(self.most, self.running)


@dataclass
class Ran:
    study: Study
    slots: Scripted
    events: list[Event]

    def endings(self) -> list[Ending | None]:
        return [ending(trial) for trial in self.study.trials()]


Run = Callable[..., Ran]


@pytest.fixture
def run(feasible: Feasible, composed: Callable[..., DictConfig]) -> Run:
    """``run("study.target=3", ..., scripts=..., slots=2)``: a study of six trials, run."""

    def _run(
        *overrides: str,
        scripts: Callable[[int], Script] = lambda number: Script(),
        slots: int | Callable[[float], int] = 2,
        n_jobs: int | str = "auto",
        max_failures: float = 3,
        constraints: Sequence[str] = (),
        ran: Ran | None = None,
        interrupted: Callable[[float], bool] = lambda now: False,
        peers: Peers | None = None,
    ) -> Ran:
        config = composed("study.name=s", "scheduler=none", *overrides)
        of = typed(config)
        space = feasible(*SIX, constraints=constraints)
        count = slots if callable(slots) else lambda now: slots
        ran = ran or Ran(in_memory(), Scripted(scripts, count), [])
        objectives = objectives_of(of.objectives)
        past, left = ran.study.finished(), ran.study.unfinished()
        sampling = Sampling(optuna.samplers.RandomSampler(0), ["minimize"], space, past)
        events = EventStream([_Heard(ran.events)])
        parts = Parts(
            Recorder(ran.study),
            sampling,
            space,
            objectives,
            Referee(config.scheduler, of.stoppers, objectives, of.seed),
            ran.slots,
            Limits(of.study, maximised=False),
            Failures(max_failures, of.study.fail_fast),
            events,
            peers or NoPeers(),
        )
        proposals = Proposals(sampling, space, [], [*past, *left], 6, lambda *_: None, 0)
        sweep = Sweep(
            parts,
            n_jobs,
            of.study.max_retries,
            of.stoppers,
            lambda: interrupted(ran.slots.now),
            clock=lambda: ran.slots.now,
        )
        sweep.run(proposals, left)
        return ran

    return _run


class _Heard:
    def __init__(self, events: list[Event]) -> None:
        self.observe = events.append


def test_a_free_slot_gets_the_next_trial_at_once(run: Run) -> None:
    ran = run(scripts=lambda number: Script([3.0] * (10 if number == 0 else 2)))
    # The first takes ten seconds; beside it the others take two each, one after the other.
    assert ran.slots.submitted == [(0, 0), (1, 0), (2, 2), (3, 4), (4, 6), (5, 8)]
    assert ran.endings() == [Ending.COMPLETE] * 6


@pytest.mark.parametrize(("n_jobs", "most"), [(1, 1), (3, 3), ("auto", 2)])
def test_as_many_run_at_once_as_asked_for(n_jobs: int | str, most: int, run: Run) -> None:
    assert run(n_jobs=n_jobs).slots.most == most


def test_slots_that_join_while_nothing_ends_are_used(run: Run) -> None:
    ran = run(scripts=lambda number: Script([3.0] * 30), slots=lambda now: 1 if now < 4 else 3)
    assert ran.slots.submitted[:3] == [(0, 0), (1, 4), (2, 4)]
    counted = [event.slots for event in ran.events if isinstance(event, SlotsCounted)]
    assert counted == [1, 3]


def test_events_tell_the_whole_story_in_order(run: Run) -> None:
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
    assert ran.endings() == [Ending.COMPLETE] + [Ending.RUNG] * 5
    stopped = ran.study.trials()[1]
    assert stopped.state is TrialState.PRUNED
    assert stopped.intermediate_values == {100: 6.0, 200: 6.0}
    assert stopped.user_attrs["metrics"]["tokens_seen"] == 200
    told = [one for one in ran.events if isinstance(one, TrialReported) and one.number == 1]
    assert [one.rung for one in told] == [0, 0, 1]  # the first one at 200 tokens


def test_a_trial_that_no_longer_improves_is_complete_with_its_value(run: Run) -> None:
    ran = run("stoppers.plateau_patience=2", scripts=lambda number: Script([3.0] * 9))
    assert ran.endings() == [Ending.PLATEAU] * 6
    assert [trial.value for trial in ran.study.trials()] == [3.0] * 6


def test_a_trial_that_diverges_is_pruned_and_the_others_go_on(run: Run) -> None:
    ran = run(scripts=lambda n: Script([4.0, float("nan"), 3.0] if n == 1 else [4.0, 3.0]))
    assert ran.endings() == [Ending.COMPLETE, Ending.DIVERGED] + [Ending.COMPLETE] * 4
    found = ran.study.best()
    assert found is not None
    assert found.number == 0


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (ValueError("as told"), Ending.FAILED),
        (FloatingPointError("no finite loss"), Ending.DIVERGED),
        (TrialTimeoutError("no end after 3 s"), Ending.TIMED_OUT),
        (MemoryError("CUDA out of memory"), Ending.OUT_OF_MEMORY),
    ],
)
def test_each_error_has_its_ending(error: Exception, how: Ending, run: Run) -> None:
    ran = run(scripts=lambda n: Script(raises=error if n == 2 else None))
    assert ran.endings().count(how) == 1
    finished = [event for event in ran.events if isinstance(event, TrialFinished)]
    assert [event.error for event in finished if event.ending is how] == [
        f"{type(error).__name__}: {error}"
    ]


# Limits of the study


@pytest.mark.parametrize(
    ("limit", "ends_at"),
    [
        ("study.max_seconds=4", 4),
        ("study.max_tokens=800", 5),  # 600 of the first two, 200 at the second report at 4 s
        ("study.target=3.5", 4),  # the first two reach 3.0 after three seconds
    ],
)
def test_a_limit_ends_the_study_and_what_is_in_flight_ends_at_its_next_report(
    limit: str, ends_at: float, run: Run
) -> None:
    ran = run(limit)
    assert ran.slots.now <= ends_at
    last = ran.events[-1]
    assert isinstance(last, StudyFinished)
    assert last.reason == limit
    assert ran.endings()[:2] == [Ending.COMPLETE] * 2
    assert set(ran.endings()[2:]) <= {Ending.STUDY_LIMIT}
    assert all(trial.state.is_finished() for trial in ran.study.trials())


# Constraints on results


def test_an_infeasible_result_is_never_the_best(run: Run) -> None:
    ran = run(
        constraints=["peak_memory_mb <= 1000 * lora.r"],
        scripts=lambda n: Script([9.0 - n], metrics={"peak_memory_mb": 3500.0}),
    )
    # Ranks 1 to 3 are infeasible; the others, of losses 6, 5 and 4, are not.
    assert ran.endings() == [Ending.INFEASIBLE] * 3 + [Ending.COMPLETE] * 3
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


def test_a_metric_that_was_not_measured_is_told_with_those_that_were(run: Run) -> None:
    with pytest.raises(UserError, match="'latency_ms' given, allowed: what the trial measured: ev"):
        run(constraints=["latency_ms <= 50"])


# Trials that are run again


def test_a_trial_whose_worker_is_lost_is_run_again_under_its_number(run: Run) -> None:
    lost = {1: 2, 3: 1}  # trial: times

    def script(number: int) -> Script:
        lost[number] = lost.get(number, 0) - 1
        return Script(raises=WorkerLostError("gone") if lost[number] >= 0 else None)

    ran = run(scripts=script)
    assert ran.endings() == [Ending.COMPLETE] * 6
    assert sorted(number for number, _ in ran.slots.submitted) == [0, 1, 1, 1, 2, 3, 3, 4, 5]
    again = [(one.number, one.times) for one in ran.events if isinstance(one, TrialRetried)]
    assert sorted(again) == [(1, 1), (1, 2), (3, 1)]
    assert [retried(trial) for trial in ran.study.trials()] == [0, 2, 0, 1, 0, 0]


def test_a_trial_whose_worker_is_lost_too_often_fails(run: Run) -> None:
    lost = WorkerLostError("gone")
    scripts = [Script(raises=lost), *[Script()] * 5]
    ran = run("study.max_retries=2", scripts=lambda n: scripts[n])
    assert ran.endings() == [Ending.FAILED] + [Ending.COMPLETE] * 5
    assert [number for number, _ in ran.slots.submitted].count(0) == 3
    assert ran.study.trials()[0].user_attrs["error"] == "WorkerLostError: gone"


def test_while_the_disk_is_full_trials_wait_and_nothing_new_begins(run: Run) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    slots = Scripted(lambda n: Script(), lambda now: 2)
    slots._scripts = lambda n: Script([], raises=full) if 2 <= slots.now < 60 else Script()
    ran = run(ran=Ran(in_memory(), slots, []))
    assert ran.endings() == [Ending.COMPLETE] * 6
    tried = [at for number, at in slots.submitted if number == 2]
    assert 4 < len(tried) < 12
    assert max(number for number, at in slots.submitted if at < 60) == 3
    assert [retried(trial) for trial in ran.study.trials()] == [0] * 6


def test_a_disk_that_stays_full_fails_the_study(run: Run) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    ran = Ran(in_memory(), Scripted(lambda n: Script([], raises=full), lambda now: 2), [])
    with pytest.raises(StudyFailed, match="No space left on device"):
        run(ran=ran)
    assert 900 < ran.slots.now < 4000


def test_an_interrupted_sweep_starts_nothing_more_and_says_so(run: Run) -> None:
    ran = run(interrupted=lambda now: now >= 5)  # the scripts do not listen: they end
    assert ran.endings() == [Ending.COMPLETE] * 4
    last = ran.events[-1]
    assert isinstance(last, StudyFinished)
    assert last.reason == "interrupted"


def test_what_an_interrupted_sweep_left_goes_on_first_and_nothing_is_counted_twice(
    run: Run,
) -> None:
    saved = TrialInterruptedError("interrupted after step 3")
    ran = run(scripts=lambda n: Script(raises=saved), interrupted=lambda now: now >= 1)
    assert ran.endings() == [Ending.INTERRUPTED] * 2
    slots = Scripted(lambda n: Script([4.0] * 5), lambda now: 2)
    again = run(ran=Ran(ran.study, slots, []))
    assert [number for number, _ in slots.submitted] == [0, 1, 2, 3, 4, 5]
    kinds = [type(event) for event in again.events[1:4]]  # after the slots were counted
    assert kinds == [TrialRetried, TrialRetried, TrialStarted]
    assert again.endings() == [Ending.COMPLETE] * 6
    assert again.study.trials()[0].intermediate_values == {
        100: 5.0,
        200: 4.0,
        300: 3.0,
        400: 4.0,
        500: 4.0,
    }


def test_an_error_keeps_its_traceback(run: Run) -> None:
    error = ValueError("as told")
    error.add_note("Traceback: line 1 of the user's own")
    ran = run(scripts=lambda n: Script(raises=error if n == 2 else None))
    assert ran.study.trials()[2].user_attrs["traceback"] == "Traceback: line 1 of the user's own"


# Failures


def test_too_many_failures_end_the_study_and_name_the_first(run: Run) -> None:
    ran = Ran(in_memory(), Scripted(lambda n: Script(raises=OSError("disk")), lambda now: 1), [])
    with pytest.raises(
        StudyFailed, match=r"^the first 3 trials all failed. OSError: disk \(trial 0"
    ):
        run(ran=ran)
    assert ran.endings() == [Ending.FAILED] * 3
    ran = Ran(in_memory(), Scripted(lambda n: Script(raises=OSError("disk")), lambda now: 1), [])
    with pytest.raises(StudyFailed, match=r"^2 trials failed, more than .*max_failure_rate"):
        run(max_failures=1, ran=ran)
    assert ran.endings() == [Ending.FAILED] * 2


def test_a_mistake_that_all_trials_share_ends_the_study_at_once(run: Run) -> None:
    mistake = UserError("data.path: 'x' given, allowed: a folder")
    ran = Ran(in_memory(), Scripted(lambda n: Script(raises=mistake), lambda now: 1), [])
    with pytest.raises(UserError, match=r"^data\.path: 'x' given, allowed: a folder$"):
        run(ran=ran)
    assert ran.endings() == [Ending.INTERRUPTED]
    slots = Scripted(lambda n: Script(), lambda now: 1)
    mended = run(ran=Ran(ran.study, slots, []))
    assert mended.endings() == [Ending.COMPLETE] * 6  # the first one's configuration, too


def test_a_mistake_of_one_trial_is_its_own_once_another_was_pruned(run: Run) -> None:
    def script(number: int) -> Script:
        if number == 0:
            return Script([4.0, float("nan")])
        return Script(raises=UserError("as told") if number == 1 else None)

    ran = run(slots=1, scripts=script)
    assert ran.endings() == [Ending.DIVERGED, Ending.FAILED] + [Ending.COMPLETE] * 4


def test_a_trial_is_in_the_log_before_the_record_has_it(run: Run) -> None:
    study, early = in_memory(), []

    class Slow(list[Event]):
        def append(self, event: Event) -> None:
            if isinstance(event, TrialAsked):
                time.sleep(0.05)  # the recorder would have written it by then
                early.append(event.number not in {one.number for one in study.every()})
            super().append(event)

    run(ran=Ran(study, Scripted(lambda n: Script(), lambda now: 2), Slow()))
    assert early == [True] * 6


def test_a_trial_is_told_its_limit_and_how_long_it_may_be_silent(run: Run) -> None:
    given: list[tuple[float | None, float]] = []

    class Noting(Scripted):
        def submit(self, task: Task) -> None:
            given.append((task.limit_seconds, task.silence_seconds))
            super().submit(task)

    limits = ("stoppers.max_seconds=8", "study.max_seconds=10", "stoppers.kill_after_seconds=60")
    run(*limits, ran=Ran(in_memory(), Noting(lambda n: Script(), lambda now: 1), []))
    # A trial takes three seconds; of the study's ten there are 10, 7, 4 and 1 left.
    assert given == [(8, 60), (7, 60), (4, 60), (1, 60)]


def test_what_broke_the_driver_is_the_reason_for_the_end(run: Run) -> None:
    class Broken(Scripted):
        def wait(self, listener: Listener, seconds: float) -> Any:
            raise ZeroDivisionError("in the driver")

    ran = Ran(in_memory(), Broken(lambda n: Script(), lambda now: 1), [])
    with pytest.raises(ZeroDivisionError):
        run(ran=ran)
    last = ran.events[-1]
    assert isinstance(last, StudyFinished)
    assert last.reason == "ZeroDivisionError: in the driver"


class Another(NoPeers):
    """Another driver, which has ended these trials and reported what they trained on."""

    def __init__(self, study: Study) -> None:
        self._ended = study.finished()
        self._reported = [(90 + one.number, tokens_of(one)) for one in self._ended]

    def reports(self) -> Iterator[tuple[int, Report]]:
        told, self._reported = self._reported, []
        for number, tokens in told:
            yield number, Report(1, 1, tokens, tokens, 1.0, {"eval_loss": 9.0}, 0.0)

    def news(self) -> News:
        ended, self._ended = self._ended, []
        return News([], [numbered(one, 90 + one.number) for one in ended], left=6)


def numbered(trial: FrozenTrial, number: int) -> FrozenTrial:
    copy = deepcopy(trial)
    copy.number = number
    return copy


def others(*endings: Ending) -> Study:
    study = in_memory()
    for how in endings:
        trial = start(study, {"lora.r": IntDistribution(1, 9)})
        study.tell(trial, how, TrialResult((9.0,), {"tokens_seen": 150.0}), "KeyError: 'x'")
    return study


def test_what_fails_elsewhere_counts_here(run: Run) -> None:
    elsewhere = Another(others(*[Ending.FAILED] * 4))
    ran = Ran(in_memory(), Scripted(lambda n: Script(), lambda now: 1), [])
    with pytest.raises(StudyFailed, match=r"^4 trials failed, more than .*max_failure_rate"):
        run(peers=elsewhere, ran=ran)


def test_tokens_of_another_drivers_trial_count_once(run: Run) -> None:
    elsewhere = Another(others(Ending.RUNG))
    # Six trials of 300 tokens, and 150 elsewhere that are reported and then told at the end.
    ran = run("study.max_tokens=2000", peers=elsewhere)
    assert ran.endings() == [Ending.COMPLETE] * 6
    assert isinstance(ran.events[-1], StudyFinished)
    assert ran.events[-1].reason == "all trials are done"


def test_ctrl_c_at_once_does_not_wait_for_a_storage_that_is_gone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "BUSY_SECONDS", 0.01)
    study = create_or_continue("s", f"sqlite:///{tmp_path}/study.db", ["eval_loss"], ["minimize"])

    class Twice(Scripted):
        def wait(self, listener: Listener, seconds: float) -> Any:
            raise KeyboardInterrupt

    ran = Ran(study, Twice(lambda n: Script(), lambda now: 2), [])
    began = time.monotonic()
    with closing(sqlite3.connect(tmp_path / "study.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StudyFailed, match="database is locked"):
            run(ran=ran)
    assert time.monotonic() - began < 60  # not 15 minutes; Optuna's own retries take some seconds
    assert isinstance(ran.events[-1], StudyFinished)


def test_an_interrupted_study_closes_what_was_in_flight(run: Run) -> None:
    class Interrupted(Scripted):
        def wait(self, listener: Listener, seconds: float) -> Any:
            raise KeyboardInterrupt

    ran = Ran(in_memory(), Interrupted(lambda n: Script(), lambda now: 2), [])
    with pytest.raises(KeyboardInterrupt):
        run(ran=ran)
    assert ran.endings() == [Ending.INTERRUPTED] * 2
