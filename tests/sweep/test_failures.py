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


def told(failures: Failures, *endings: tuple[Outcome, str]) -> None:
    for number, (how, error) in enumerate(endings):
        failures.add(number, how, error)


SAME = (Outcome.FAILED, "KeyError: 'x'")
OTHER = (Outcome.FAILED, "ValueError: y")
GOOD = (Outcome.COMPLETE, "")


def test_the_first_trials_with_one_error_end_the_study_and_show_it() -> None:
    failures = Failures(allowed=50, fail_fast=3)
    told(failures, SAME, SAME)
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
def test_other_errors_and_good_trials_are_no_reason_to_end(
    endings: list[tuple[Outcome, str]],
) -> None:
    failures = Failures(allowed=50, fail_fast=3)
    told(failures, *endings)
    failures.check()
    failures.check_at_the_end() if GOOD in endings else None


def test_a_continued_study_does_not_fail_fast_but_counts_what_failed_before() -> None:
    failures = Failures(allowed=4, fail_fast=3, before=1)
    told(failures, SAME, SAME, SAME)
    failures.check()
    failures.add(3, *SAME)
    with pytest.raises(StudyFailed, match=r"^5 trials failed, more than hydra.sweeper.max_failure"):
        failures.check()


def test_a_study_of_failures_alone_says_so_at_its_end() -> None:
    failures = Failures(allowed=50, fail_fast=9)
    told(failures, SAME, OTHER)
    failures.check()
    with pytest.raises(StudyFailed, match=r"every trial failed\. Trial 0: KeyError: 'x'"):
        failures.check_at_the_end()


def test_an_interrupted_trial_is_neither_good_nor_bad() -> None:
    failures = Failures(allowed=50, fail_fast=2)
    told(failures, SAME, (Outcome.INTERRUPTED, ""), SAME)
    with pytest.raises(StudyFailed, match="the first 2 trials"):
        failures.check()
