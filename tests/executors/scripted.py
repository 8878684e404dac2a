"""A trial that does as it is told, and what the sweep does with slots."""

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

from ugro.events.channel import channel
from ugro.events.trial_report import Report
from ugro.executors.executor import Executor, Task
from ugro.executors.messages import FileChunk, Packed, RayChannel
from ugro.space.composition import Composer
from ugro.space.search_space import SearchSpace
from ugro.sweep.sweeper import executor_of

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
        case "gate":
            while not Path("gate").exists():
                time.sleep(0.05)
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
        case "lead out":
            bring_out_of_the_folder()
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


def bring_out_of_the_folder() -> None:
    """What a worker sends that has fallen into wrong hands."""
    import ray

    to = cast(RayChannel, channel())
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../outside"))
    ray.get(to._mailbox.send.remote(to._number, FileChunk(made.getvalue())))
    ray.get(to._mailbox.ask.remote(to._number, Packed()))


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

    def __init__(self, slots: Executor, master: DictConfig, loader: ConfigLoader) -> None:
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


def slots_for(config: DictConfig, loader: ConfigLoader, task: TaskFunction) -> Executor:
    """The slots of a sweep's launcher."""
    with open_dict(config.hydra):
        config.hydra.job.name = "test"
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
        task_function=task,
        config=config,
    )
    return executor_of(launcher)
