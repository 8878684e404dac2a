"""What runs on a Ray worker? The task with its configuration, where the driver was started."""

import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from ugro.events.channel import connected
from ugro.executors.file_transfer import LOCK, FolderSource, bring, fetch
from ugro.executors.messages import (
    Done,
    Failed,
    FileChunk,
    FileRequest,
    HeartbeatMessage,
    Packed,
    RayChannel,
    TaskStarted,
)
from ugro.executors.watchdog import pulse
from ugro.provenance import this_process

LEFT_BEHIND_SECONDS = 60.0  # in which Ray ends the workers of a driver that has died


@dataclass(frozen=True)
class Pickled:
    """An object that arrives as what it holds; cloudpickle takes 10 ms for a configuration."""

    content: bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.content,)


@dataclass(frozen=True)
class WithValues:
    """A configuration that arrives with other values in it, and with a folder that is there.

    The driver would take 12 ms to set and to pickle each trial's; a worker has more time.
    """

    shared: bytes
    values: Mapping[str, Any]
    home: FolderSource

    def __reduce__(self) -> tuple[Any, ...]:
        return _with_values, (self.shared, self.values, self.home)


def _with_values(shared: bytes, values: Mapping[str, Any], home: FolderSource) -> DictConfig:
    config: DictConfig = pickle.loads(shared)
    with open_dict(config):
        for key, value in {**values, "hydra.sweep.dir": home.here()}.items():
            OmegaConf.update(config, key, value)
    return config


def _alone_in(folder: Path) -> FileLock:
    """A driver that was killed may have left a worker that has not noticed yet."""
    return FileLock(folder / LOCK, timeout=LEFT_BEHIND_SECONDS)


@dataclass(frozen=True)
class OnWorker:
    """The task, with a channel to the driver.

    Args:
        folder: where the driver was started
        home: the study's folder
        number: the trial's
        message_queue: the actor
        task: what is run
        environment: variables that it gets
        heartbeat_seconds: within which the driver is to hear of it
    """

    folder: str
    home: FolderSource
    number: int
    message_queue: Any
    task: TaskFunction
    environment: Mapping[str, str] = field(repr=False)  # secrets
    heartbeat_seconds: float | None

    def __call__(self, config: DictConfig) -> Any:
        """Run the task; on a node without the driver's folder, where the node is."""
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        os.environ.update(self.environment)
        import ray

        self.message_queue.send.remote(self.number, TaskStarted(this_process()))
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            with (
                pulse(self.heartbeat_seconds, self._beat),
                _alone_in(folder),
                self._files(folder, config),
                connected(RayChannel(self.number, self.message_queue)),
            ):
                returned = self.task(config)
        except MemoryError as error:
            # What it had taken would stay with the process: the next trial gets another one.
            ray.get(self.message_queue.send.remote(self.number, Failed(error)))
            os._exit(1)
        ray.get(self.message_queue.send.remote(self.number, Done(returned)))
        return returned

    def _beat(self, hangs_at: str) -> None:
        self.message_queue.send.remote(self.number, HeartbeatMessage(hangs_at))

    @contextmanager
    def _files(self, folder: Path, config: DictConfig) -> Iterator[None]:
        """Within the block the trial's files are here; behind it the driver has them."""
        if folder.is_relative_to(self.home.path):
            yield
            return
        import ray

        ask, send = self.message_queue.ask.remote, self.message_queue.send.remote
        fetch(folder, [ray.get(piece) for piece in ray.get(ask(self.number, FileRequest()))])
        try:
            yield
        finally:
            # study.artifacts has the checkpoints, where it is set.
            checkpoints = config.study.artifacts is None
            bring(folder, checkpoints, lambda piece: ray.get(send(self.number, FileChunk(piece))))
            ray.get(ask(self.number, Packed()))
