"""What runs on a Ray worker? The task with its configuration, where the driver was started."""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from ugro.provenance import this_process
from ugro.reporting import connected
from ugro.slots.mailbox import Begun, Done, Failed, RayChannel

LEFT_BEHIND_SECONDS = 60.0  # in which Ray ends the workers of a driver that has died


@dataclass(frozen=True)
class Pickled:
    """An object that arrives as what it holds; cloudpickle takes 10 ms for a configuration."""

    content: bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.content,)


@dataclass(frozen=True)
class WithValues:
    """A configuration that arrives with other values in it.

    The driver would take 12 ms to set and to pickle each trial's; a worker has more time.
    """

    shared: bytes
    values: Mapping[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return _with_values, (self.shared, self.values)


def _with_values(shared: bytes, values: Mapping[str, Any]) -> DictConfig:
    config: DictConfig = pickle.loads(shared)
    with open_dict(config):
        for key, value in values.items():
            OmegaConf.update(config, key, value)
    return config


def _alone_in(folder: str) -> FileLock:
    """A driver that was killed may have left a worker that has not noticed yet."""
    return FileLock(os.path.join(folder, ".worker"), timeout=LEFT_BEHIND_SECONDS)


@dataclass(frozen=True)
class OnWorker:
    """The task, with a channel to the driver."""

    folder: str
    number: int
    mailbox: Any
    task: TaskFunction

    def __call__(self, config: DictConfig) -> Any:
        """Run the task; on a node without the folder, where the node is."""
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        import ray

        self.mailbox.send.remote(self.number, Begun(this_process()))
        folder = HydraConfig.get().runtime.output_dir
        try:
            with _alone_in(folder), connected(RayChannel(self.number, self.mailbox)):
                returned = self.task(config)
        except MemoryError as error:
            # What it had taken would stay with the process: the next trial gets another one.
            ray.get(self.mailbox.send.remote(self.number, Failed(error)))
            os._exit(1)
        ray.get(self.mailbox.send.remote(self.number, Done(returned)))
        return returned
