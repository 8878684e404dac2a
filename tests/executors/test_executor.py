"""Each kind of slots passes the same tests."""

import time

import pytest
from hydra.core.utils import JobStatus

from ugro.events.trial_report import Report
from ugro.executors.executor import InProcessExecutor, TrialTimeoutError
from ugro.executors.ray_executor import RayExecutor

from .scripted import Driver, Make, report


def test_each_launcher_has_its_kind_of_slots(make: Make) -> None:
    assert isinstance(make("hydra/launcher=basic").slots, InProcessExecutor)
    assert isinstance(make("hydra/launcher=ray_local").slots, RayExecutor)


def test_every_trial_comes_back_once_with_its_own_number(slots: Driver) -> None:
    for number in (3, 5, 8):
        slots.submit(number, [f"seed={number}"])
    returned = dict(slots.wait() for _ in range(3))
    assert {number: job.return_value for number, job in returned.items()} == {3: 3, 5: 5, 8: 8}


def test_each_trial_has_its_own_values_in_the_configuration_they_share(slots: Driver) -> None:
    for number, modules in enumerate(("[q_proj]", "[k_proj,v_proj]")):
        slots.submit(number, ["model.path=modules", f"lora.target_modules={modules}"])
    returned = dict(slots.wait() for _ in range(2))
    assert returned[0].return_value == ["q_proj"]
    assert returned[1].return_value == ["k_proj", "v_proj"]


def test_a_trial_that_raises_is_a_failed_job_with_its_own_error(slots: Driver) -> None:
    slots.submit(0, ["model.path=fail"])
    number, job = slots.wait()
    assert (number, job.status) == (0, JobStatus.FAILED)
    with pytest.raises(ValueError, match="as told"):
        job.return_value  # noqa: B018  it raises


def test_reports_reach_the_driver_in_order_and_the_trial_does_as_it_is_told(slots: Driver) -> None:
    slots.heard.stop_at = 3
    for number in (4, 5):
        slots.submit(number, ["model.path=report"])
    jobs = dict(slots.wait() for _ in range(2))
    assert {number: job.return_value for number, job in jobs.items()} == {4: 3, 5: 3}
    assert sorted(slots.heard.begun) == [4, 5]
    for number in (4, 5):
        said = [heard for trial, heard in slots.heard.reports if trial == number]
        assert said == [report(1), report(2), report(3)]


def test_a_trial_that_is_not_stopped_reports_to_its_end(slots: Driver) -> None:
    slots.submit(0, ["model.path=report"])
    assert slots.wait()[1].return_value is None
    assert [heard.step for _, heard in slots.heard.reports] == [1, 2, 3, 4, 5]


def test_a_hung_trial_is_ended_from_outside_and_its_slot_is_free(slots: Driver) -> None:
    slots.submit(0, ["model.path=hang"], seconds=1.0)
    number, job = slots.wait()
    assert (number, job.status) == (0, JobStatus.FAILED)
    assert isinstance(job._return_value, TrialTimeoutError)
    slots.submit(1, ["seed=7"])
    assert slots.wait()[1].return_value == 7


def test_a_trial_that_reports_is_not_taken_for_hung_nor_one_that_saves_itself(
    slots: Driver,
) -> None:
    slots.heard.stop_at = 3  # after 1.8 s; what was told to stop takes as long to save itself
    slots.submit(0, ["model.path='report, then save'"], seconds=0.1, silence=1.5)
    assert slots.wait()[1].return_value == "all is saved"
    assert [heard.step for _, heard in slots.heard.reports] == [1, 2, 3]


def test_an_error_of_the_driver_is_not_taken_for_one_of_the_trial(slots: Driver) -> None:
    def broken(number: int, report: Report) -> bool:
        raise ZeroDivisionError("in the driver")

    slots.heard.reported = broken  # type: ignore[method-assign]
    slots.submit(0, ["model.path=report"])
    with pytest.raises(ZeroDivisionError, match="in the driver"):
        slots.wait()


def test_a_trial_whose_time_runs_out_while_the_driver_listens_is_not_the_drivers_error(
    slots: Driver,
) -> None:
    began, done = [], []

    def slow(number: int, report: Report) -> bool:
        began.append(report.step)
        time.sleep(0.5)
        done.append(report.step)
        return True

    slots.heard.reported = slow  # type: ignore[method-assign]
    slots.submit(0, ["model.path=report"], seconds=1.2)  # five reports take 2.5 s
    number, job = slots.wait()
    assert (number, job.status) == (0, JobStatus.FAILED)
    assert isinstance(job._return_value, TrialTimeoutError)
    assert began == done  # nothing interrupted the driver


def test_a_trial_whose_time_runs_out_before_it_begins_has_timed_out(make: Make) -> None:
    slots = make("hydra/launcher=basic")
    slots.submit(0, [], seconds=1e-3)
    number, job = slots.wait()
    assert (number, job.status) == (0, JobStatus.FAILED)
    assert isinstance(job._return_value, TrialTimeoutError)
    assert slots.heard.reports == []
