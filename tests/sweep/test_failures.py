import pytest
from filelock import Timeout

from ugro.errors import StudyFailed, UserError
from ugro.events.channel import TrialInterruptedError
from ugro.events.outcome import Outcome
from ugro.executors.executor import TrialTimeoutError, WorkerLostError
from ugro.sweep.failures import Failures, response_to


@pytest.mark.parametrize(
    ("error", "outcome", "retry"),
    [
        (WorkerLostError("node died"), Outcome.FAILED, True),
        (MemoryError("CUDA out of memory"), Outcome.OUT_OF_MEMORY, False),
        (FloatingPointError("no finite loss"), Outcome.DIVERGED, False),
        (TrialTimeoutError("no end after 9 s"), Outcome.TIMED_OUT, False),
        (TrialInterruptedError("after step 4"), Outcome.INTERRUPTED, False),
        (KeyError("column"), Outcome.FAILED, False),
        (UserError("data.path: ..."), Outcome.FAILED, False),
        (Timeout("trials/0001/.worker"), Outcome.FAILED, True),
        (SystemExit(1), Outcome.FAILED, False),
    ],
)
def test_each_class_of_error_has_its_response(
    error: BaseException, outcome: Outcome, retry: bool
) -> None:
    response = response_to(error)
    assert (response.outcome, response.retry) == (outcome, retry)


def add_all(failures: Failures, *endings: tuple[Outcome, str]) -> None:
    for number, (how, error) in enumerate(endings):
        failures.add(number, how, error)


SAME = (Outcome.FAILED, "KeyError: 'x'")
OTHER = (Outcome.FAILED, "ValueError: y")
GOOD = (Outcome.COMPLETE, "")


def test_the_same_error_in_the_first_trials_ends_the_study() -> None:
    failures = Failures(allowed=50, fail_fast=3)
    add_all(failures, SAME, SAME)
    failures.check()
    failures.add(2, *SAME)
    with pytest.raises(
        StudyFailed, match=r"^the first 3 trials all failed\. KeyError: 'x' \(trial 0;"
    ):
        failures.check()


@pytest.mark.parametrize(
    "endings",
    [[GOOD, SAME, SAME, SAME], [SAME, OTHER, SAME], [SAME, GOOD, SAME, SAME]],
)
def test_different_errors_or_good_trials_do_not_end_the_study(
    endings: list[tuple[Outcome, str]],
) -> None:
    failures = Failures(allowed=50, fail_fast=3)
    add_all(failures, *endings)
    failures.check()
    failures.check_at_the_end() if GOOD in endings else None


def test_a_resumed_study_does_not_fail_fast_but_counts_earlier_failures() -> None:
    failures = Failures(allowed=4, fail_fast=3, before=1)
    add_all(failures, SAME, SAME, SAME)
    failures.check()
    failures.add(3, *SAME)
    with pytest.raises(StudyFailed, match=r"^5 trials failed, more than hydra.sweeper.max_failure"):
        failures.check()


def test_a_study_without_any_success_fails_at_its_end() -> None:
    failures = Failures(allowed=50, fail_fast=9)
    add_all(failures, SAME, OTHER)
    failures.check()
    with pytest.raises(StudyFailed, match=r"every trial failed\. Trial 0: KeyError: 'x'"):
        failures.check_at_the_end()


def test_an_interrupted_trial_counts_neither_as_success_nor_as_failure() -> None:
    failures = Failures(allowed=50, fail_fast=2)
    add_all(failures, SAME, (Outcome.INTERRUPTED, ""), SAME)
    with pytest.raises(StudyFailed, match="the first 2 trials"):
        failures.check()
