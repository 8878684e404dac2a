"""Count the trials that a cluster holds, node by node: a trial does not lie across two."""

import logging
import os
import platform
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ugro.errors import UserError, fault

UNITS = 10_000  # Ray counts in such parts of a resource
ANSWER_SECONDS = 30.0  # a head that Redis backs may come back; after 60 s Ray ends the process
ALIVE = 0  # GcsNodeInfo.GcsNodeState in Ray's gcs.proto
Resources = Mapping[str, float]
log = logging.getLogger(__name__)


def wanted_by(remote: Mapping[str, Any]) -> dict[str, float]:
    """The resources that a trial takes, named as Ray's nodes name them.

    Args:
        remote: what ``ray.remote`` is given: num_cpus, num_gpus, memory (bytes), resources,
            accelerator_type
    """
    wanted = {
        "CPU": remote.get("num_cpus"),
        "GPU": remote.get("num_gpus"),
        "memory": remote.get("memory"),
        **(remote.get("resources") or {}),
    }
    if kind := remote.get("accelerator_type"):
        wanted[f"accelerator_type:{kind}"] = 1 / UNITS
    return {name: float(amount) for name, amount in wanted.items() if amount}


def nothing_visible(resource: str) -> str:
    """Why there is no GPU, where the environment hides them."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if resource == "GPU" and hidden is not None and hidden.strip() in ("", "-1"):
        return f", as CUDA_VISIBLE_DEVICES={hidden!r} hides all"
    return ""


def shares_one_device() -> bool:
    """Whether all trials here would train on one device that Ray does not know: Apple's MPS.

    The driver does not import torch to ask it: every Mac with Apple's own processor has one.
    """
    return sys.platform == "darwin" and platform.machine() == "arm64"


def key_of(resource: str) -> str:
    """Where a resource is configured."""
    named = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
    return f"hydra.launcher.ray.remote.{named.get(resource, f'resources.{resource}')}"


def fit(wanted: Resources, nodes: Iterable[Resources]) -> int:
    """How many trials fit onto all nodes together."""
    return sum(_onto(wanted, node) for node in nodes)


def _onto(wanted: Resources, node: Resources) -> int:
    """How many fit onto one node."""
    return min((_times(name, wanted[name], node.get(name, 0.0)) for name in wanted), default=1)


def _times(name: str, amount: float, there: float) -> int:
    if name == "GPU" and amount < 1:  # a share is of one GPU: none is put together of two halves
        return round(there) * (UNITS // _units(amount))
    return _units(there) // _units(amount)


def _units(amount: float) -> int:
    return max(1, round(amount * UNITS)) if amount else 0


def most(wanted: Resources, nodes: Collection[Resources]) -> dict[str, float]:
    """Of each wanted resource, what the best node has of it."""
    return {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in wanted}


def nodes_now() -> list[Resources]:
    """What each node has of the cluster that this driver is connected to.

    ``ray.nodes()`` waits for a head that is gone until Ray ends the process, after a minute.

    Raises:
        ray.exceptions.RpcError: the head has not answered for :data:`ANSWER_SECONDS`.
        ConnectionError: Ray's client server is gone.
    """
    import ray
    from ray._private import worker
    from ray.util.client import ray as client

    if client.is_connected():
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = worker.global_worker.gcs_client.get_all_node_info(timeout=ANSWER_SECONDS)
    return [dict(node.resources_total) for node in nodes.values() if node.state == ALIVE]


class Capacity:
    """How many trials a cluster holds, as its nodes come and go.

    Args:
        wanted: by each trial
        is_local: whether this machine is the whole cluster
    """

    def __init__(self, wanted: Resources, is_local: bool) -> None:
        self._wanted = wanted
        self._is_local = is_local
        self._waits_for_a_node = False  # and it was said

    def count(self, nodes: Collection[Resources]) -> int:
        """How many trials fit; at least one, which then waits for a node.

        Raises:
            UserError: this machine is the whole cluster and a trial does not fit into it.
        """
        count = fit(self._wanted, nodes)
        if not count:
            self._fits_nowhere(most(self._wanted, nodes))
        if self._is_local and shares_one_device():
            return 1
        return max(1, count)

    def _fits_nowhere(self, there: Resources) -> None:
        """A node may still join a cluster, but not this machine."""
        lacking = [name for name in there if there[name] < self._wanted[name]]
        for name in lacking or there:
            where = "at most here" if self._is_local else "at most on any node"
            wanted = self._wanted[name]
            given = int(wanted) if wanted.is_integer() else wanted
            why = nothing_visible(name) if self._is_local else ""
            said = fault(key_of(name), given, f"{there[name]:g} {where}{why}")
            if self._is_local:
                raise UserError(said)
            if not self._waits_for_a_node:
                log.warning("%s; trials wait for a node that has it", said)
        self._waits_for_a_node = True
