"""Connect the driver to Ray and set the resources and secrets of trials."""

import os
from collections.abc import Iterable
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ugro.errors import UserError, fault
from ugro.executors.messages import MessageQueue
from ugro.executors.ray_temp_dir import with_short_paths
from ugro.retries import one_line, retrying

MAX_TRIALS = 10_000  # waiting for an answer at the same time
CLIENT_SECONDS = 180.0  # retries: the client server's helper may die while forking (ray#63202)


def connect(init: DictConfig) -> None:
    """Start a local Ray or connect to a cluster.

    Raises:
        UserError: the cluster is unreachable or rejects the driver, or Ray does not start.
    """
    import ray
    from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

    init = with_short_paths(init)
    is_down = ConnectionAbortedError  # raised by Ray's client server only
    with_retries = retrying(
        lambda error: isinstance(error, is_down), "Ray's client server", CLIENT_SECONDS
    )
    try:
        with_retries(start_ray, init)
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        allowed = (
            "the address of a running Ray cluster; if it requires a token, set RAY_AUTH_MODE=token "
            "and the token in RAY_AUTH_TOKEN or ~/.ray/auth_token"
        )
        message = fault("hydra.launcher.ray.init.address", init.get("address"), allowed)
        raise UserError(f"{message} ({one_line(error)})") from error
    except Exception as error:  # wrong arguments of ray.init, or an overloaded machine
        raise UserError(
            f"hydra.launcher.ray.init: Ray does not start: {one_line(error)}"
        ) from error


def create_message_queue() -> Any:
    """Create the message queue on the driver's node, as other nodes may be lost."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(num_cpus=0, max_concurrency=MAX_TRIALS, scheduling_strategy=here)(
        MessageQueue
    )
    return actor.remote()


def secrets(names: Iterable[str]) -> dict[str, str]:
    """Return environment variables to pass to the workers.

    Raises:
        UserError: a variable is not set.
    """
    for name in names:
        if name not in os.environ:
            allowed = "names of variables that are set in the environment"
            raise UserError(fault("hydra.launcher.secrets", name, allowed))
    return {name: os.environ[name] for name in names}


def with_gpu(remote: DictConfig) -> DictConfig:
    """Resolve ``num_gpus: null`` to 1 if the cluster has any GPU, else to 0."""
    import ray

    if remote.num_gpus is None:
        has_gpu = ray.cluster_resources().get("GPU", 0) > 0
        return cast(DictConfig, OmegaConf.merge(remote, {"num_gpus": 1 if has_gpu else 0}))
    return remote
