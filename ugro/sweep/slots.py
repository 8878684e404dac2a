"""Where do trials run? In slots: Ray tasks on warm workers, or one at a time in this process."""

import os
from dataclasses import dataclass
from typing import Any, Protocol, cast

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import TaskFunction
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig, OmegaConf, open_dict

from ugro.errors import UserError, fault


class Slots(Protocol):
    """What the sweeper needs of a launcher."""

    def count(self) -> int:
        """How many trials can run at once."""

    def submit(self, number: int, overrides: list[str]) -> None:
        """Hand a trial over; its job number is ``number``."""

    def wait(self) -> tuple[int, JobReturn]:
        """Wait for one of the submitted trials to end: its number and what became of it."""


def slots_of(launcher: Launcher) -> Slots:
    """Slots on Ray, or around whatever other launcher Hydra has."""
    if isinstance(launcher, RayLauncher):
        return RaySlots(launcher)
    return InProcessSlot(launcher)


class InProcessSlot:
    """One slot: any Hydra launcher, handed one trial at a time."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._submitted: list[tuple[int, list[str]]] = []

    def count(self) -> int:
        """One: this process."""
        return 1

    def submit(self, number: int, overrides: list[str]) -> None:
        """Keep the trial until :meth:`wait` runs it."""
        self._submitted.append((number, overrides))

    def wait(self) -> tuple[int, JobReturn]:
        """Run the trial that has waited longest."""
        number, overrides = self._submitted.pop(0)
        [result] = self._launcher.launch([overrides], initial_job_idx=number)
        return number, result


class RaySlots:
    """Each trial a Ray task, launched as the upstream launcher does it."""

    def __init__(self, launcher: RayLauncher) -> None:
        from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

        start_ray(cast(DictConfig, OmegaConf.create(launcher.ray_cfg.init)))
        self._launcher = launcher
        self._remote = _with_gpu(launcher.ray_cfg.remote)
        self._running: dict[Any, int] = {}

    def count(self) -> int:
        """How often a trial's resources fit into the cluster, at least once.

        Raises:
            UserError: this machine is the whole cluster and a trial does not fit into it.
        """
        import ray

        total = ray.cluster_resources()
        wanted = {"CPU": self._remote.num_cpus, "GPU": self._remote.num_gpus}
        wanted |= self._remote.get("resources") or {}
        local = self._launcher.ray_cfg.init.get("address") == "local"
        for name, amount in wanted.items():
            if local and amount and amount > total.get(name, 0):
                key = {"CPU": "num_cpus", "GPU": "num_gpus"}.get(name, f"resources.{name}")
                allowed = f"{total.get(name, 0):g} at most here"
                raise UserError(fault(f"hydra.launcher.ray.remote.{key}", amount, allowed))
        fits = [int(total.get(name, 0) / amount) for name, amount in wanted.items() if amount]
        return max(1, min(fits, default=1))

    def submit(self, number: int, overrides: list[str]) -> None:
        """Compose the trial's configuration and hand it to Ray."""
        from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray

        launcher = self._launcher
        assert launcher.hydra_context is not None
        assert launcher.task_function is not None
        config = launcher.hydra_context.config_loader.load_sweep_config(launcher.config, overrides)
        with open_dict(config):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number
            config.hydra.sweep.dir = os.path.abspath(config.hydra.sweep.dir)
        task = launch_job_on_ray(
            launcher.hydra_context,
            self._remote,
            config,
            InFolder(os.getcwd(), launcher.task_function),
            Singleton.get_state(),
        )
        self._running[task] = number

    def wait(self) -> tuple[int, JobReturn]:
        """Wait for the first task to end; a lost worker is a failed trial, not a failed sweep."""
        import ray

        [task], _ = ray.wait(list(self._running), num_returns=1)
        number = self._running.pop(task)
        try:
            return number, ray.get(task)
        except ray.exceptions.RayError as error:
            return number, JobReturn(status=JobStatus.FAILED, _return_value=error)


@dataclass(frozen=True)
class InFolder:
    """A task that runs where the driver was started: a worker starts where its node was."""

    folder: str
    task: TaskFunction

    def __call__(self, config: DictConfig) -> Any:
        """Run the task; on a node without the folder, where the node is."""
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        return self.task(config)


def _with_gpu(remote: DictConfig) -> DictConfig:
    """``num_gpus: null`` is one where the cluster has any: no trial is on a CPU unasked."""
    import ray

    if remote.num_gpus is None:
        has_gpu = ray.cluster_resources().get("GPU", 0) > 0
        return cast(DictConfig, OmegaConf.merge(remote, {"num_gpus": 1 if has_gpu else 0}))
    return remote
