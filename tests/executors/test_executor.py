"""Tests that every kind of executor passes."""

import time

import pytest
from hydra.core.utils import JobStatus

from ugro.events.channel import Answer
from ugro.events.trial_report import Report
from ugro.executors.executor import InProcessExecutor, TrialTimeoutError
from ugro.executors.ray_executor import RayExecutor

from .scripted import Driver, Make, report


def test_each_launcher_has_its_executor(make: Make) -> None:
    assert isinstance(make("hydra/launcher=basic").executor, InProcessExecutor)
    assert isinstance(make("hydra/launcher=ray_local").executor, RayExecutor)


def test_every_trial_comes_back_once_with_its_own_number(driver: Driver) -> None:
    for number in (3, 5, 8):
        driver.submit(number, [f"seed={number}"])
    returned = dict(driver.wait() for _ in range(3))
    assert {number: job.return_value for number, job in returned.items()} == {3: 3, 5: 5, 8: 8}


def test_each_trial_has_its_own_values_in_the_shared_configuration(driver: Driver) -> None:
    for number, modules in enumerate(("[q_proj]", "[k_proj,v_proj]")):
        driver.submit(number, ["model.path=modules", f"lora.target_modules={modules}"])
    returned = dict(driver.wait() for _ in range(2))
    assert returned[0].return_value == ["q_proj"]
    assert returned[1].return_value == ["k_proj", "v_proj"]


def test_a_trial_that_raises_is_a_failed_job_with_its_own_error(driver: Driver) -> None:
    driver.submit(0, ["model.path=fail"])
    number, job = driver.wait()
    assert (number, job.status) == (0, JobStatus.FAILED)
    with pytest.raises(ValueError, match="as scripted"):
        job.return_value  # noqa: B018  it raises


@pytest.mark.parametrize("answer", [Answer.STOP, Answer.PAUSE])
def test_reports_reach_the_driver_in_order_and_its_answer_reaches_the_trial(
    answer: Answer, driver: Driver
) -> None:
    driver.listener.answer, driver.listener.answer_at = answer, 3
    for number in (4, 5):
        driver.submit(number, ["model.path=report"])
    jobs = dict(driver.wait() for _ in range(2))
    assert [jobs[number].return_value for number in (4, 5)] == [(answer.value, 3)] * 2
    assert sorted(driver.listener.started_numbers) == [4, 5]
    for number in (4, 5):
        reports = [sent for trial, sent in driver.listener.reports if trial == number]
        assert reports == [report(1), report(2), report(3)]


def test_a_trial_that_is_not_stopped_reports_to_its_end(driver: Driver) -> None:
    driver.submit(0, ["model.path=report"])
    assert driver.wait()[1].return_value is None
    assert [report.step for _, report in driver.listener.reports] == [1, 2, 3, 4, 5]


def test_a_hung_trial_is_killed_and_its_slot_is_free(driver: Driver) -> None:
    driver.submit(0, ["model.path=hang"], seconds=1.0)
    number, job = driver.wait()
    assert (number, job.status) == (0, JobStatus.FAILED)
    assert isinstance(job._return_value, TrialTimeoutError)
    driver.submit(1, ["seed=7"])
    assert driver.wait()[1].return_value == 7


def test_a_reporting_or_saving_trial_does_not_count_as_hung(
    driver: Driver,
) -> None:
    driver.listener.answer_at = 3  # after 1.8 s; saving takes as long
    driver.submit(0, ["model.path='report, then save'"], seconds=0.1, silence=1.5)
    assert driver.wait()[1].return_value == "all is saved"
    assert [report.step for _, report in driver.listener.reports] == [1, 2, 3]


def test_an_error_of_the_driver_is_not_attributed_to_the_trial(driver: Driver) -> None:
    def broken(number: int, report: Report) -> Answer:
        raise ZeroDivisionError("in the driver")

    driver.listener.reported = broken  # type: ignore[method-assign]
    driver.submit(0, ["model.path=report"])
    with pytest.raises(ZeroDivisionError, match="in the driver"):
        driver.wait()


def test_a_timeout_during_a_report_is_not_attributed_to_the_driver(
    driver: Driver,
) -> None:
    started, done = [], []

    def slow(number: int, report: Report) -> Answer:
        started.append(report.step)
        time.sleep(0.5)
        done.append(report.step)
        return Answer.CONTINUE

    driver.listener.reported = slow  # type: ignore[method-assign]
    driver.submit(0, ["model.path=report"], seconds=1.2)  # five reports take 2.5 s
    number, job = driver.wait()
    assert (number, job.status) == (0, JobStatus.FAILED)
    assert isinstance(job._return_value, TrialTimeoutError)
    assert started == done  # nothing interrupted the driver


def test_a_timeout_before_the_start_is_a_timeout(make: Make) -> None:
    driver = make("hydra/launcher=basic")
    driver.submit(0, [], seconds=1e-3)
    number, job = driver.wait()
    assert (number, job.status) == (0, JobStatus.FAILED)
    assert isinstance(job._return_value, TrialTimeoutError)
    assert driver.listener.reports == []
