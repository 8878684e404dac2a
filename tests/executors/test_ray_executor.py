"""Behaviour of trials on Ray only: they run in parallel, in processes that may die."""

import os
import time
from pathlib import Path

import pytest
from hydra.core.utils import JobStatus

from ugro.errors import UserError
from ugro.executors import ray_executor
from ugro.sweep.failures import response_to

from .scripted import ON_RAY, Make


def test_the_trial_that_ends_first_is_returned_first(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    driver = make(*ON_RAY)
    driver.submit(1, ["model.path=gate"])
    driver.submit(2, [])
    assert driver.wait()[0] == 2
    (tmp_path / "gate").touch()
    assert driver.wait()[0] == 1


def test_a_killed_worker_fails_its_trial_and_no_other(make: Make) -> None:
    driver = make(*ON_RAY)
    driver.submit(0, ["model.path=die"])
    driver.submit(1, ["model.path=sleep"])
    jobs = dict(driver.wait() for _ in range(2))
    assert jobs[0].status is JobStatus.FAILED
    assert jobs[1].status is JobStatus.COMPLETED


def test_files_outside_the_folder_fail_their_trial_and_no_other(make: Make, tmp_path: Path) -> None:
    driver = make(*ON_RAY)
    driver.submit(0, ["model.path=lead out"])
    driver.submit(1, ["model.path=sleep"])
    jobs = dict(driver.wait() for _ in range(2))
    assert jobs[1].status is JobStatus.COMPLETED
    with pytest.raises(RuntimeError, match="were rejected: OutsideDestinationError") as raised:
        jobs[0].return_value  # noqa: B018  it raises
    assert not response_to(raised.value).retry
    assert not list(tmp_path.rglob("outside"))


def test_worker_processes_are_reused(make: Make) -> None:
    driver = make(*ON_RAY, "hydra.launcher.ray.remote.num_cpus=2")
    processes = set()
    for number in range(5):
        driver.submit(number, ["model.path=process"])
        processes.add(driver.wait()[1].return_value)
    assert len(processes) <= 2  # Ray keeps a process per CPU and uses any idle process
    assert os.getpid() not in processes


def test_a_trial_runs_where_the_sweep_was_started(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver = make(*ON_RAY, "hydra.sweep.dir=studies/first")
    monkeypatch.chdir(tmp_path)
    driver.submit(7, ["model.path=folder"])
    assert driver.wait()[1].return_value == str(tmp_path)
    assert (tmp_path / "studies" / "first" / "trials" / "0007" / ".hydra").is_dir()


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_trial_gets_as_many_threads_as_cpus(cpus: int, make: Make) -> None:
    driver = make(*ON_RAY, f"hydra.launcher.ray.remote.num_cpus={cpus}")
    driver.submit(0, ["model.path=threads"])
    assert driver.wait()[1].return_value == str(cpus)


def test_the_cluster_decides_how_many_trials_fit(make: Make) -> None:
    assert make("hydra/launcher=basic").count() == 1
    for cpus, fit in ((1, 2), (2, 1), (0.5, 4)):
        driver = make(*ON_RAY, f"hydra.launcher.ray.remote.num_cpus={cpus}")
        assert driver.count() == fit


def test_a_gpu_is_shared_by_two_trials_of_half_a_gpu(make: Make) -> None:
    driver = make("hydra/launcher=ray_local", "hydra.launcher.ray.remote.num_gpus=0.5")
    assert driver.count() == 2
    for number in (0, 1):
        driver.submit(number, ["model.path=gpu"])
    assert [driver.wait()[1].return_value for _ in range(2)] == ["0", "0"]


def test_a_trial_has_a_gpu_where_there_is_one(make: Make) -> None:
    driver = make("hydra/launcher=ray_local")
    assert driver.count() == 1
    driver.submit(0, ["model.path=gpu"])
    assert driver.wait()[1].return_value == "0"


def test_a_trial_too_large_for_this_machine_is_rejected(
    make: Make,
) -> None:
    driver = make(*ON_RAY, "hydra.launcher.ray.remote.num_cpus=64")
    with pytest.raises(UserError, match=r"remote\.num_cpus: 64 given, allowed: 2 at most here"):
        driver.count()


def test_queued_reports_are_handled_before_deadlines(make: Make) -> None:
    driver = make(*ON_RAY)
    driver.listener.answer_at = 1
    driver.submit(0, ["model.path='report, then save'"], seconds=0.1, silence=1.5)
    while not driver.listener.started_numbers:
        driver.executor.wait(driver.listener, 0.01)
    time.sleep(2)  # the driver was blocked by its storage
    assert driver.wait()[1].return_value == "all is saved"


@pytest.mark.parametrize("kind", ["NotUnpicklable", "WorkerOnly"])
def test_an_error_that_cannot_be_unpickled_fails_its_trial(kind: str, make: Make) -> None:
    driver = make(*ON_RAY)
    driver.submit(0, [f"model.path={kind}"])
    _, job = driver.wait()
    assert job.status is JobStatus.FAILED
    with pytest.raises(RuntimeError, match=rf"{kind}: as scripted") as raised:
        job.return_value  # noqa: B018  it raises
    assert "in scripted" in raised.value.__notes__[0]
    assert not response_to(raised.value).retry  # the trial of a lost worker would be retried


def test_an_unpickling_error_is_no_lost_worker() -> None:
    import ray

    translate = ray_executor._translate
    unreadable = ray.exceptions.RaySystemError(ImportError("no such module"), "Traceback ...")
    assert not response_to(translate(unreadable)).retry
    assert "no such module" in str(translate(unreadable))
    assert response_to(translate(ray.exceptions.WorkerCrashedError())).retry


def test_a_worker_that_dies_after_a_report_fails_its_trial(make: Make) -> None:
    driver = make(*ON_RAY)
    driver.submit(0, ["model.path=die late"])
    assert driver.wait()[1].status is JobStatus.FAILED
    assert [sent.step for _, sent in driver.listener.reports] == [1]


def test_waiting_returns_when_no_trial_ends_in_time(make: Make) -> None:
    driver = make(*ON_RAY)
    driver.submit(0, ["model.path=sleep"])
    assert driver.executor.wait(driver.listener, 0.01) is None
    assert driver.wait()[0] == 0
