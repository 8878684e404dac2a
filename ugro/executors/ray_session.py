"""A connection to Ray with its message queue and the objects shared by all tasks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from hydra.core.singleton import Singleton
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig, OmegaConf

from ugro.executors.capacity import Resources, node_resources
from ugro.executors.messages import Message
from ugro.executors.ray_connection import connect, create_message_queue, with_gpu
from ugro.executors.ray_logging import first_sentence

CORE_PROCESSES = ("gcs_server", "raylet")  # of a local Ray; no trial runs without them


class RayGoneError(Exception):
    """Ray's processes or the connection to them are lost.

    Args:
        why: one line
        out_of_memory: whether Ray's memory monitor killed the message queue
    """

    def __init__(self, why: str, out_of_memory: bool = False) -> None:
        super().__init__(why)
        self.out_of_memory = out_of_memory


class Session:
    """A local Ray or a connection to a cluster.

    Args:
        launcher: holds the arguments of ``ray.init`` and ``ray.remote``

    Raises:
        UserError: the cluster rejects the driver, or a local Ray does not start as configured.
    """

    def __init__(self, launcher: RayLauncher) -> None:
        import ray
        from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray

        init = cast(DictConfig, OmegaConf.create(launcher.ray_cfg.init))
        connect(init)
        self.address: str | None = init.get("address")
        self.is_local = self.address == "local"
        self.remote = with_gpu(launcher.ray_cfg.remote)
        self.message_queue = create_message_queue()
        self._next_messages = self.message_queue.take.remote()
        self._launch = partial(
            launch_job_on_ray,
            ray.put(launcher.hydra_context),
            self.remote,
            singleton_state=ray.put(Singleton.get_state()),
        )

    def launch(self, **job: Any) -> Any:
        """Submit a task and return its future."""
        with self._translate_errors():
            return self._launch(**job)

    def wait(self, futures: Sequence[Any], seconds: float) -> tuple[list[Any], Sequence[Any]]:
        """Wait for messages or a future; return the messages, and the futures that ended."""
        import ray

        with self._translate_errors():
            ready, _ = ray.wait([self._next_messages, *futures], num_returns=1, timeout=seconds)
            if ready != [self._next_messages]:
                return [], ready
            messages: list[tuple[int, Message]] = ray.get(self._next_messages)
            self._next_messages = self.message_queue.take.remote()
            return messages, []

    def nodes(self) -> list[Resources]:
        """Return the resources of each node."""
        with self._translate_errors():
            return node_resources()

    def check(self) -> None:
        """Check the processes of a local Ray.

        Raises:
            RayGoneError: one of them has ended.
        """
        if self.is_local and (dead := _dead_process()):
            raise RayGoneError(dead)

    def close(self) -> None:
        """Disconnect before Ray notices its loss, because it would end this process a minute later.

        The processes of a local Ray end, workers included.
        """
        import ray

        del self.message_queue, self._next_messages, self._launch
        ray.shutdown()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        import grpc  # Ray's client raises its errors
        import ray

        self.check()
        try:
            yield
        except (ray.exceptions.RayError, ConnectionError, grpc.RpcError) as error:
            self.check()  # with a clearer message
            out_of_memory = isinstance(error, ray.exceptions.OutOfMemoryError)
            cause = ConnectionError(error.details()) if isinstance(error, grpc.Call) else error
            why = f"{type(cause).__name__}: {first_sentence(cause)}"
            raise RayGoneError(why, out_of_memory) from error


def _dead_process() -> str:
    """Return which core process of a local Ray has ended; empty if none."""
    from ray._private import worker

    if worker._global_node is None:
        return ""
    for kind, process in worker._global_node.dead_processes():
        if kind in CORE_PROCESSES:
            return f"its {kind} ended with exit code {process.returncode}"
    return ""
