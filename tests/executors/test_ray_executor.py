"""What trials on Ray alone do: they run side by side, in processes that may die."""

import os
import time
from pathlib import Path

import pytest
from hydra.core.utils import JobStatus

from ugro.errors import UserError
from ugro.executors import ray_executor
from ugro.sweep.failures import answer_to

from .scripted import ON_RAY, Make


def test_the_first_to_end_comes_first(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    slots = make(*ON_RAY)
    slots.submit(1, ["model.path=gate"])
    slots.submit(2, [])
    assert slots.wait()[0] == 2
    (tmp_path / "gate").touch()
    assert slots.wait()[0] == 1


def test_a_killed_worker_fails_its_trial_and_no_other(make: Make) -> None:
    slots = make(*ON_RAY)
    slots.submit(0, ["model.path=die"])
    slots.submit(1, ["model.path=sleep"])
    jobs = dict(slots.wait() for _ in range(2))
    assert jobs[0].status is JobStatus.FAILED
    assert jobs[1].status is JobStatus.COMPLETED


def test_files_that_lead_out_of_the_folder_fail_their_trial_and_no_other(
    make: Make, tmp_path: Path
) -> None:
    slots = make(*ON_RAY)
    slots.submit(0, ["model.path=lead out"])
    slots.submit(1, ["model.path=sleep"])
    jobs = dict(slots.wait() for _ in range(2))
    assert jobs[1].status is JobStatus.COMPLETED
    with pytest.raises(RuntimeError, match="files were refused: OutsideDestinationError") as told:
        jobs[0].return_value  # noqa: B018  it raises
    assert not answer_to(told.value).again
    assert not list(tmp_path.rglob("outside"))


def test_worker_processes_are_used_again(make: Make) -> None:
    slots = make(*ON_RAY, "hydra.launcher.ray.remote.num_cpus=2")
    processes = set()
    for number in range(5):
        slots.submit(number, ["model.path=process"])
        processes.add(slots.wait()[1].return_value)
    assert len(processes) <= 2  # Ray keeps one a CPU, and takes any that is idle
    assert os.getpid() not in processes


def test_a_trial_runs_where_the_sweep_was_started(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slots = make(*ON_RAY, "hydra.sweep.dir=studies/one")
    monkeypatch.chdir(tmp_path)
    slots.submit(7, ["model.path=folder"])
    assert slots.wait()[1].return_value == str(tmp_path)
    assert (tmp_path / "studies" / "one" / "trials" / "0007" / ".hydra").is_dir()


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_trial_gets_as_many_threads_as_cpus(cpus: int, make: Make) -> None:
    slots = make(*ON_RAY, f"hydra.launcher.ray.remote.num_cpus={cpus}")
    slots.submit(0, ["model.path=threads"])
    assert slots.wait()[1].return_value == str(cpus)


def test_the_cluster_decides_how_many_trials_fit(make: Make) -> None:
    assert make("hydra/launcher=basic").count() == 1
    for cpus, fit in ((1, 2), (2, 1), (0.5, 4)):
        slots = make(*ON_RAY, f"hydra.launcher.ray.remote.num_cpus={cpus}")
        assert slots.count() == fit


def test_a_gpu_is_shared_by_two_trials_of_half_a_gpu(make: Make) -> None:
    slots = make("hydra/launcher=ray_local", "hydra.launcher.ray.remote.num_gpus=0.5")
    assert slots.count() == 2
    for number in (0, 1):
        slots.submit(number, ["model.path=gpu"])
    assert [slots.wait()[1].return_value for _ in range(2)] == ["0", "0"]


def test_a_trial_has_a_gpu_where_there_is_one(make: Make) -> None:
    slots = make("hydra/launcher=ray_local")
    assert slots.count() == 1
    slots.submit(0, ["model.path=gpu"])
    assert slots.wait()[1].return_value == "0"


def test_more_than_this_machine_has_is_refused_instead_of_waited_for(
    make: Make,
) -> None:
    slots = make(*ON_RAY, "hydra.launcher.ray.remote.num_cpus=64")
    with pytest.raises(UserError, match=r"remote\.num_cpus: 64 given, allowed: 2 at most here"):
        slots.count()


def test_what_trials_have_said_is_read_before_one_is_taken_for_hung(make: Make) -> None:
    slots = make(*ON_RAY)
    slots.heard.stop_at = 1
    slots.submit(0, ["model.path='report, then save'"], seconds=0.1, silence=1.5)
    while not slots.heard.begun:
        slots.slots.wait(slots.heard, 0.01)
    time.sleep(2)  # the driver has waited for its storage
    assert slots.wait()[1].return_value == "all is saved"


@pytest.mark.parametrize("kind", ["TwoSides", "OnlyHere"])
def test_an_error_that_cannot_be_read_here_is_the_trials_all_the_same(
    kind: str, make: Make
) -> None:
    slots = make(*ON_RAY)
    slots.submit(0, [f"model.path={kind}"])
    _, job = slots.wait()
    assert job.status is JobStatus.FAILED
    with pytest.raises(RuntimeError, match=rf"{kind}: as told") as told:
        job.return_value  # noqa: B018  it raises
    assert "in scripted" in told.value.__notes__[0]
    assert not answer_to(told.value).again  # a lost worker's trial would be run again


def test_what_cannot_be_read_here_is_not_taken_for_a_lost_worker() -> None:
    import ray

    plain = ray_executor._plain
    unreadable = ray.exceptions.RaySystemError(ImportError("no such module"), "Traceback ...")
    assert not answer_to(plain(unreadable)).again
    assert "no such module" in str(plain(unreadable))
    assert answer_to(plain(ray.exceptions.WorkerCrashedError())).again


def test_a_worker_that_dies_after_a_report_fails_its_trial(make: Make) -> None:
    slots = make(*ON_RAY)
    slots.submit(0, ["model.path=die late"])
    assert slots.wait()[1].status is JobStatus.FAILED
    assert [heard.step for _, heard in slots.heard.reports] == [1]


def test_while_nothing_ends_the_driver_gets_its_turn_back(make: Make) -> None:
    slots = make(*ON_RAY)
    slots.submit(0, ["model.path=sleep"])
    assert slots.slots.wait(slots.heard, 0.01) is None
    assert slots.wait()[0] == 0
