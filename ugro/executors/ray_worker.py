"""Run a trial's task on a Ray worker, with its configuration, files and heartbeats."""

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
from omegaconf import DictConfig, open_dict

from ugro.config import set_key
from ugro.events.channel import connected
from ugro.executors.file_transfer import LOCK, FolderSource, receive_files, send_files
from ugro.executors.messages import (
    ArchiveComplete,
    FileChunk,
    FileRequest,
    HeartbeatMessage,
    RayChannel,
    TaskDone,
    TaskFailed,
    TaskStarted,
)
from ugro.executors.watchdog import heartbeats
from ugro.provenance import this_process

ORPHAN_SECONDS = 60.0  # within which Ray ends the workers of a dead driver


@dataclass(frozen=True)
class Pickled:
    """An already pickled object that unpickles to its content; cloudpickle would take 10 ms."""

    content: bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.content,)


@dataclass(frozen=True)
class ConfigWithValues:
    """A configuration that unpickles with a trial's values and a folder of the worker's machine.

    Setting and pickling a configuration takes the driver 12 ms per trial, so the worker does it.
    """

    shared: bytes
    values: Mapping[str, Any]
    study_folder: FolderSource

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle_with_values, (self.shared, self.values, self.study_folder)


def _unpickle_with_values(
    shared: bytes, values: Mapping[str, Any], study_folder: FolderSource
) -> DictConfig:
    config: DictConfig = pickle.loads(shared)
    with open_dict(config):
        for key, value in {**values, "hydra.sweep.dir": study_folder.local_path()}.items():
            set_key(config, key, value)
    return config


def _trial_lock(folder: Path) -> FileLock:
    """Return the lock of a trial's folder; a killed driver's worker may still hold it."""
    return FileLock(folder / LOCK, timeout=ORPHAN_SECONDS)


@dataclass(frozen=True)
class WorkerTask:
    """A task with a channel to the driver.

    Args:
        working_dir: of the driver
        study_folder: as the driver sees it
        number: of the trial
        message_queue: the actor
        task: to run
        environment: additional variables
        heartbeat_seconds: timeout after which the driver considers a silent worker lost
    """

    working_dir: str
    study_folder: FolderSource
    number: int
    message_queue: Any
    task: TaskFunction
    environment: Mapping[str, str] = field(repr=False)  # secrets
    heartbeat_seconds: float | None

    def __call__(self, config: DictConfig) -> Any:
        """Run the task in the driver's working directory, if this node has it."""
        if os.path.isdir(self.working_dir):
            os.chdir(self.working_dir)
        os.environ.update(self.environment)
        import ray

        self.message_queue.send.remote(self.number, TaskStarted(this_process()))
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            with (
                heartbeats(self.heartbeat_seconds, self._send_heartbeat),
                _trial_lock(folder),
                self._synchronised_files(folder, config),
                connected(RayChannel(self.number, self.message_queue)),
            ):
                returned = self.task(config)
        except MemoryError as error:
            # The process would keep the memory, so the next trial gets a new one.
            ray.get(self.message_queue.send.remote(self.number, TaskFailed(error)))
            os._exit(1)
        ray.get(self.message_queue.send.remote(self.number, TaskDone(returned)))
        return returned

    def _send_heartbeat(self, hangs_at: str) -> None:
        self.message_queue.send.remote(self.number, HeartbeatMessage(hangs_at))

    @contextmanager
    def _synchronised_files(self, folder: Path, config: DictConfig) -> Iterator[None]:
        """Receive the trial's files before the block and send them to the driver after it."""
        if folder.is_relative_to(self.study_folder.path):
            yield
            return
        import ray

        ask, send = self.message_queue.ask.remote, self.message_queue.send.remote
        references = ray.get(ask(self.number, FileRequest()))
        receive_files(folder, [ray.get(reference) for reference in references])
        try:
            yield
        finally:
            # With study.artifacts the checkpoints are stored there.
            checkpoints = config.study.artifacts is None
            send_files(
                folder, checkpoints, lambda data: ray.get(send(self.number, FileChunk(data)))
            )
            ray.get(ask(self.number, ArchiveComplete()))
