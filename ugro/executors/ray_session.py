"""A connection to Ray: the message queue, and what all tasks share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from hydra.core.singleton import Singleton
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig, OmegaConf

from ugro.executors.capacity import Resources, nodes_now
from ugro.executors.messages import Message
from ugro.executors.ray_connection import connect, message_queue_here, with_gpu
from ugro.executors.ray_logging import brief

VITAL = ("gcs_server", "raylet")  # processes of a local Ray without which no trial runs


class RayGoneError(Exception):
    """Ray's own processes, or the way to them, are gone.

    Args:
        why: in a line
        out_of_memory: whether Ray's memory monitor has killed the message_queue
    """

    def __init__(self, why: str, out_of_memory: bool = False) -> None:
        super().__init__(why)
        self.out_of_memory = out_of_memory


class Session:
    """Ray, started here or joined.

    Args:
        launcher: with what ``ray.init`` and ``ray.remote`` are given

    Raises:
        UserError: no cluster lets one in, or no local Ray can be started as configured.
    """

    def __init__(self, launcher: RayLauncher) -> None:
        import ray
        from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray

        init = cast(DictConfig, OmegaConf.create(launcher.ray_cfg.init))
        connect(init)
        self.address: str | None = init.get("address")
        self.is_local = self.address == "local"
        self.remote = with_gpu(launcher.ray_cfg.remote)
        self.message_queue = message_queue_here()
        self._letters = self.message_queue.take.remote()
        self._launch = partial(
            launch_job_on_ray,
            ray.put(launcher.hydra_context),
            self.remote,
            singleton_state=ray.put(Singleton.get_state()),
        )

    def launch(self, **job: Any) -> Any:
        """Submit a task; its future."""
        with self._alive():
            return self._launch(**job)

    def wait(self, futures: Sequence[Any], seconds: float) -> tuple[list[Any], Sequence[Any]]:
        """Wait for letters or for one of the futures: the letters, and the futures that ended."""
        import ray

        with self._alive():
            ready, _ = ray.wait([self._letters, *futures], num_returns=1, timeout=seconds)
            if ready != [self._letters]:
                return [], ready
            letters: list[tuple[int, Message]] = ray.get(self._letters)
            self._letters = self.message_queue.take.remote()
            return letters, []

    def nodes(self) -> list[Resources]:
        """What each node has."""
        with self._alive():
            return nodes_now()

    def check(self) -> None:
        """Look after the processes of a local Ray.

        Raises:
            RayGoneError: one of them has ended.
        """
        if self.is_local and (dead := _dead_process()):
            raise RayGoneError(dead)

    def close(self) -> None:
        """Leave, before Ray notices by itself that it is gone: it ends the process a minute later.

        A local Ray's other processes end, the workers among them.
        """
        import ray

        del self.message_queue, self._letters, self._launch
        ray.shutdown()

    @contextmanager
    def _alive(self) -> Iterator[None]:
        import grpc  # what Ray's client lets through
        import ray

        self.check()
        try:
            yield
        except (ray.exceptions.RayError, ConnectionError, grpc.RpcError) as error:
            self.check()  # which says it more plainly
            out_of_memory = isinstance(error, ray.exceptions.OutOfMemoryError)
            told = ConnectionError(error.details()) if isinstance(error, grpc.Call) else error
            why = f"{type(told).__name__}: {brief(told)}"
            raise RayGoneError(why, out_of_memory) from error


def _dead_process() -> str:
    """Say which process of Ray's has ended, if it was started by this one."""
    from ray._private import worker

    if worker._global_node is None:
        return ""
    for kind, process in worker._global_node.dead_processes():
        if kind in VITAL:
            return f"its {kind} ended with exit code {process.returncode}"
    return ""
