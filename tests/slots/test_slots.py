"""Each kind of slots passes the same tests; Ray is started once for all of them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict

from ugro.errors import UserError
from ugro.report import Report
from ugro.reporting import channel
from ugro.slots import ray_slots
from ugro.slots.ray_slots import RaySlots
from ugro.slots.slots import InProcessSlot, Slots, Task, TrialTimeoutError
from ugro.space.composition import Composer
from ugro.space.search_space import SearchSpace
from ugro.sweep.failures import answer_to
from ugro.sweep.sweeper import slots_of

from ..conftest import ROOT

Make = Callable[..., "Driver"]
ON_RAY = ("hydra/launcher=ray_local", "hydra.launcher.ray.remote.num_gpus=0")


def scripted(config: DictConfig) -> Any:
    """A trial that does as ``model.path`` tells it: a test of faults needs no training."""
    match config.model.path:
        case "fail":
            raise ValueError("as told")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sleep":
            time.sleep(1)
        case "hang":
            time.sleep(600)
        case "report":
            steps = range(1, 6)
            return next((step for step in steps if not channel().report(report(step))), None)
        case "report, then save":
            for step in range(1, 5):
                time.sleep(0.6)
                if not channel().report(report(step)):
                    time.sleep(1.8)
                    return "all is saved"
        case "TwoSides":
            raise TwoSides("as told", code=7)
        case "OnlyHere":
            raise OnlyHere("as told")
        case "die late":
            channel().report(report(1))
            os.kill(os.getpid(), signal.SIGKILL)
        case "gpu":
            return os.environ["CUDA_VISIBLE_DEVICES"]
        case "folder":
            return os.getcwd()
        case "modules":
            return list(config.lora.target_modules)
        case "process":
            return os.getpid()
        case "threads":
            return os.environ["OMP_NUM_THREADS"]
    return config.seed


class TwoSides(Exception):  # noqa: N818
    """As many a library's error, it can be pickled and not be read again."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class OnlyHere(Exception):  # noqa: N818
    """Of a module that only the worker has."""

    def __reduce__(self) -> tuple[Any, ...]:
        return read_back, (os.getpid(), str(self))


def read_back(written_by: int, message: str) -> OnlyHere:
    if os.getpid() != written_by:
        raise ImportError("no such module")
    return OnlyHere(message)


def report(step: int) -> Report:
    metrics = {"eval_loss": 3.0 - step}
    return Report(step, 5, step * 100, 500, step * 1.0, metrics, time=0.0)


class Heard:
    """A listener that stops every trial at step ``stop_at``."""

    def __init__(self, stop_at: int = 100) -> None:
        self.stop_at = stop_at
        self.begun: list[int] = []
        self.reports: list[tuple[int, Report]] = []

    def interrupted(self) -> bool:
        return False

    def started(self, number: int, worker: str) -> None:
        self.begun.append(number)

    def reported(self, number: int, report: Report) -> bool:
        self.reports.append((number, report))
        return report.step < self.stop_at


class Driver:
    """What the sweep does with slots."""

    def __init__(self, slots: Slots, master: DictConfig, loader: ConfigLoader) -> None:
        self.slots = slots
        self.heard = Heard()
        self._composer = Composer(SearchSpace({}, ()), master, loader)

    def count(self) -> int:
        return self.slots.count()

    def submit(
        self,
        number: int,
        overrides: list[str],
        seconds: float | None = None,
        silence: float = 0.0,
    ) -> None:
        shared, values = self._composer.shared(dict(one.split("=") for one in overrides))
        self.slots.submit(Task(number, overrides, shared, values, seconds, silence))

    def wait(self) -> tuple[int, JobReturn]:
        ended = self.slots.wait(self.heard, 120)
        assert ended is not None
        return ended


@pytest.fixture(scope="module")
def _ray() -> Iterator[None]:
    import ray

    os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it, where nobody else did
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=1,  # declared: what fits where does not need the device
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
    )
    yield
    ray.shutdown()
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture
def make(tmp_path: Path, _ray: None) -> Iterator[Make]:
    """``make("hydra/launcher=basic", ...)``: the slots of such a sweep."""

    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()

        def _make(*overrides: str) -> Driver:
            given = [f"hydra.sweep.dir={tmp_path}", *overrides]
            config = loader.load_configuration("config", given, RunMode.MULTIRUN)
            with open_dict(config.hydra):
                config.hydra.job.name = "test"
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
                task_function=scripted,
                config=config,
            )
            return Driver(slots_of(launcher), config, loader)

        yield _make


@pytest.fixture(params=[("hydra/launcher=basic",), ON_RAY], ids=["basic", "ray"])
def slots(request: pytest.FixtureRequest, make: Make) -> Driver:
    return make(*request.param)


def test_each_launcher_has_its_kind_of_slots(make: Make) -> None:
    assert isinstance(make("hydra/launcher=basic").slots, InProcessSlot)
    assert isinstance(make("hydra/launcher=ray_local").slots, RaySlots)


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


def test_the_first_to_end_comes_first_on_ray(make: Make) -> None:
    slots = make(*ON_RAY)
    slots.submit(0, ["model.path=process"])  # both workers up before the race
    slots.wait()
    slots.submit(1, ["model.path=sleep"])
    slots.submit(2, [])
    assert slots.wait()[0] == 2
    assert slots.wait()[0] == 1


def test_a_killed_worker_fails_its_trial_and_no_other(make: Make) -> None:
    slots = make(*ON_RAY)
    slots.submit(0, ["model.path=die"])
    slots.submit(1, ["model.path=sleep"])
    jobs = dict(slots.wait() for _ in range(2))
    assert jobs[0].status is JobStatus.FAILED
    assert jobs[1].status is JobStatus.COMPLETED


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


# Reports


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

    plain = ray_slots._plain
    unreadable = ray.exceptions.RaySystemError(ImportError("no such module"), "Traceback ...")
    assert not answer_to(plain(unreadable)).again
    assert "no such module" in str(plain(unreadable))
    assert answer_to(plain(ray.exceptions.WorkerCrashedError())).again


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
