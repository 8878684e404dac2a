"""The loop when trials, workers or the disk fail."""

import errno
from typing import Any

import pytest

from ugro.errors import StudyFailed, UserError
from ugro.events.events import (
    StudyFinished,
    TrialFinished,
    TrialRetried,
)
from ugro.events.outcome import Outcome
from ugro.executors.executor import Listener, TrialTimeoutError, WorkerLostError
from ugro.study.trial_record import retried

from ..studies import in_memory
from .scripted import Ran, Run, Script, Scripted


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (ValueError("the error"), Outcome.FAILED),
        (FloatingPointError("no finite loss"), Outcome.DIVERGED),
        (TrialTimeoutError("no end after 3 s"), Outcome.TIMED_OUT),
        (MemoryError("CUDA out of memory"), Outcome.OUT_OF_MEMORY),
    ],
)
def test_each_error_has_its_outcome(error: Exception, how: Outcome, run: Run) -> None:
    ran = run(scripts=lambda n: Script(raises=error if n == 2 else None))
    assert ran.endings().count(how) == 1
    finished = [event for event in ran.events if isinstance(event, TrialFinished)]
    assert [event.error for event in finished if event.outcome is how] == [
        f"{type(error).__name__}: {error}"
    ]


# Limits of the study


def test_a_trial_whose_worker_is_lost_is_retried_under_its_number(run: Run) -> None:
    lost = {1: 2, 3: 1}  # trial: times

    def script(number: int) -> Script:
        lost[number] = lost.get(number, 0) - 1
        return Script(raises=WorkerLostError("gone") if lost[number] >= 0 else None)

    ran = run(scripts=script)
    assert ran.endings() == [Outcome.COMPLETE] * 6
    assert sorted(number for number, _ in ran.slots.submitted) == [0, 1, 1, 1, 2, 3, 3, 4, 5]
    again = [(one.number, one.times) for one in ran.events if isinstance(one, TrialRetried)]
    assert sorted(again) == [(1, 1), (1, 2), (3, 1)]
    assert [retried(trial) for trial in ran.study.trials()] == [0, 2, 0, 1, 0, 0]


def test_a_trial_whose_worker_is_lost_too_often_fails(run: Run) -> None:
    lost = WorkerLostError("gone")
    scripts = [Script(raises=lost), *[Script()] * 5]
    ran = run("study.max_retries=2", scripts=lambda n: scripts[n])
    assert ran.endings() == [Outcome.FAILED] + [Outcome.COMPLETE] * 5
    assert [number for number, _ in ran.slots.submitted].count(0) == 3
    assert ran.study.trials()[0].user_attrs["error"] == "WorkerLostError: gone"


def test_while_the_disk_is_full_trials_wait_and_no_new_trial_starts(run: Run) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    slots = Scripted(lambda n: Script(), lambda now: 2)
    slots._scripts = lambda n: Script([], raises=full) if 2 <= slots.now < 60 else Script()
    ran = run(ran=Ran(in_memory(), slots, []))
    assert ran.endings() == [Outcome.COMPLETE] * 6
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


def test_an_error_keeps_its_traceback(run: Run) -> None:
    error = ValueError("the error")
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
    assert ran.endings() == [Outcome.FAILED] * 3
    ran = Ran(in_memory(), Scripted(lambda n: Script(raises=OSError("disk")), lambda now: 1), [])
    with pytest.raises(StudyFailed, match=r"^2 trials failed, more than .*max_failure_rate"):
        run(max_failures=1, ran=ran)
    assert ran.endings() == [Outcome.FAILED] * 2


def test_a_user_error_in_the_first_trial_ends_the_study(run: Run) -> None:
    mistake = UserError("data.path: 'x' given, allowed: a folder")
    ran = Ran(in_memory(), Scripted(lambda n: Script(raises=mistake), lambda now: 1), [])
    with pytest.raises(UserError, match=r"^data\.path: 'x' given, allowed: a folder$"):
        run(ran=ran)
    assert ran.endings() == [Outcome.INTERRUPTED]
    slots = Scripted(lambda n: Script(), lambda now: 1)
    mended = run(ran=Ran(ran.study, slots, []))
    assert mended.endings() == [Outcome.COMPLETE] * 6  # the first one's configuration, too


def test_a_user_error_after_a_pruned_trial_fails_only_its_own_trial(run: Run) -> None:
    def script(number: int) -> Script:
        if number == 0:
            return Script([4.0, float("nan")])
        return Script(raises=UserError("the error") if number == 1 else None)

    ran = run(slots=1, scripts=script)
    assert ran.endings() == [Outcome.DIVERGED, Outcome.FAILED] + [Outcome.COMPLETE] * 4


def test_an_error_of_the_driver_is_the_reason_for_the_end(run: Run) -> None:
    class Broken(Scripted):
        def wait(self, listener: Listener, seconds: float) -> Any:
            raise ZeroDivisionError("in the driver")

    ran = Ran(in_memory(), Broken(lambda n: Script(), lambda now: 1), [])
    with pytest.raises(ZeroDivisionError):
        run(ran=ran)
    last = ran.events[-1]
    assert isinstance(last, StudyFinished)
    assert last.reason == "ZeroDivisionError: in the driver"
