"""A scripted trial, and a driver that uses an executor as the sweep does."""

import io
import os
import signal
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from ugro.events.channel import Answer, channel
from ugro.events.trial_report import Report
from ugro.executors.executor import Executor, Task
from ugro.executors.messages import ArchiveComplete, FileChunk, RayChannel
from ugro.space.composition import Composer
from ugro.space.search_space import SearchSpace
from ugro.sweep.assembly import executor_of

Make = Callable[..., "Driver"]
ON_RAY = ("hydra/launcher=ray_local", "hydra.launcher.ray.remote.num_gpus=0")


def scripted(config: DictConfig) -> Any:
    """Run a trial scripted by ``model.path``: tests of faults need no training."""
    match config.model.path:
        case "fail":
            raise ValueError("as scripted")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sleep":
            time.sleep(1)
        case "gate":
            while not Path("gate").exists():
                time.sleep(0.05)
        case "hang":
            time.sleep(600)
        case "report":
            for step in range(1, 6):
                if (answer := channel().report(report(step))) is not Answer.CONTINUE:
                    return answer.value, step
            return None
        case "report, then save":
            for step in range(1, 5):
                time.sleep(0.6)
                if channel().report(report(step)) is Answer.STOP:
                    time.sleep(1.8)
                    return "all is saved"
        case "NotUnpicklable":
            raise NotUnpicklable("as scripted", code=7)
        case "WorkerOnly":
            raise WorkerOnly("as scripted")
        case "die late":
            channel().report(report(1))
            os.kill(os.getpid(), signal.SIGKILL)
        case "lead out":
            send_escaping_archive()
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


def send_escaping_archive() -> None:
    """Send an archive that would write outside the folder, as a malicious worker could."""
    import ray

    queue_channel = cast(RayChannel, channel())
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../outside"))
    ray.get(queue_channel._queue.send.remote(queue_channel._number, FileChunk(content.getvalue())))
    ray.get(queue_channel._queue.ask.remote(queue_channel._number, ArchiveComplete()))


class NotUnpicklable(Exception):  # noqa: N818
    """An exception that can be pickled but not unpickled, as in many libraries."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class WorkerOnly(Exception):  # noqa: N818
    """An exception of a module that only the worker has."""

    def __reduce__(self) -> tuple[Any, ...]:
        return read_back, (os.getpid(), str(self))


def read_back(written_by: int, message: str) -> WorkerOnly:
    if os.getpid() != written_by:
        raise ImportError("no such module")
    return WorkerOnly(message)


def report(step: int) -> Report:
    metrics = {"eval_loss": 3.0 - step}
    return Report(step, 5, step * 100, 500, step * 1.0, metrics, time=0.0)


class RecordingListener:
    """A listener that records messages and gives an answer to every trial at step ``answer_at``."""

    def __init__(self, answer: Answer = Answer.STOP, answer_at: int = 100) -> None:
        self.answer = answer
        self.answer_at = answer_at
        self.started_numbers: list[int] = []
        self.reports: list[tuple[int, Report]] = []

    def interrupted(self) -> bool:
        return False

    def started(self, number: int, worker: str) -> None:
        self.started_numbers.append(number)

    def reported(self, number: int, report: Report) -> Answer:
        self.reports.append((number, report))
        return Answer.CONTINUE if report.step < self.answer_at else self.answer


class Driver:
    """Use an executor as the sweep does."""

    def __init__(self, executor: Executor, master: DictConfig, loader: ConfigLoader) -> None:
        self.executor = executor
        self.listener = RecordingListener()
        self._composer = Composer(SearchSpace({}, ()), master, loader)

    def count(self) -> int:
        return self.executor.count()

    def submit(
        self,
        number: int,
        overrides: list[str],
        seconds: float | None = None,
        silence: float = 0.0,
    ) -> None:
        shared, values = self._composer.shared(dict(each.split("=") for each in overrides))
        self.executor.submit(Task(number, overrides, shared, values, seconds, silence))

    def wait(self) -> tuple[int, JobReturn]:
        ended = self.executor.wait(self.listener, 120)
        assert ended is not None
        return ended


def executor_for(config: DictConfig, loader: ConfigLoader, task: TaskFunction) -> Executor:
    """Return the executor of a sweep's launcher."""
    with open_dict(config.hydra):
        config.hydra.job.name = "test"
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
        task_function=task,
        config=config,
    )
    return executor_of(launcher)
