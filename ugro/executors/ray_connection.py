"""Connect the driver to Ray, and say what each trial gets there."""

import os
from collections.abc import Iterable
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from ugro.errors import UserError, fault
from ugro.executors.messages import MessageQueue
from ugro.executors.ray_temp_dir import with_short_paths
from ugro.retries import one_line, retrying

MOST_TRIALS = 10_000  # that may wait for an answer at once
CLIENT_SECONDS = 180.0  # for Ray's client server, whose helper may die in its fork (ray#63202)


def connect(init: DictConfig) -> None:
    """Start Ray here, or go to a cluster.

    Raises:
        UserError: no cluster lets one in, or Ray does not start here.
    """
    import ray
    from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

    init = with_short_paths(init)
    is_down = ConnectionAbortedError  # what Ray's client server says; any other stays as it is
    again = retrying(
        lambda error: isinstance(error, is_down), "Ray's client server", CLIENT_SECONDS
    )
    try:
        again(start_ray, init)
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        allowed = (
            "a running Ray cluster's; where it asks for a token, RAY_AUTH_MODE=token is set here, "
            "and RAY_AUTH_TOKEN or ~/.ray/auth_token has the same one"
        )
        said = fault("hydra.launcher.ray.init.address", init.get("address"), allowed)
        raise UserError(f"{said} ({one_line(error)})") from error
    except Exception as error:  # a folder, a key or a value of ray.init's; a machine that is busy
        raise UserError(
            f"hydra.launcher.ray.init: Ray does not start: {one_line(error)}"
        ) from error


def message_queue_here() -> Any:
    """Create the message queue on the driver's own node: any other may be lost."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(num_cpus=0, max_concurrency=MOST_TRIALS, scheduling_strategy=here)(
        MessageQueue
    )
    return actor.remote()


def secrets(names: Iterable[str]) -> dict[str, str]:
    """The variables of those names, for the workers.

    Raises:
        UserError: there is none of a name.
    """
    for name in names:
        if name not in os.environ:
            allowed = "names of variables that are set in the environment"
            raise UserError(fault("hydra.launcher.secrets", name, allowed))
    return {name: os.environ[name] for name in names}


def with_gpu(remote: DictConfig) -> DictConfig:
    """``num_gpus: null`` is one where the cluster has any: no trial is on a CPU unasked."""
    import ray

    if remote.num_gpus is None:
        has_gpu = ray.cluster_resources().get("GPU", 0) > 0
        return cast(DictConfig, OmegaConf.merge(remote, {"num_gpus": 1 if has_gpu else 0}))
    return remote
