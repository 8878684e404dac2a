"""Count the trials that fit on a cluster, node by node, because a trial cannot span nodes."""

import logging
import os
import platform
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ugro.errors import UserError, fault

UNITS = 10_000  # Ray's smallest unit is 1 / UNITS of a resource
ANSWER_SECONDS = 30.0  # a head backed by Redis may restart; Ray ends the process after 60 s
ALIVE = 0  # GcsNodeInfo.GcsNodeState in Ray's gcs.proto
Resources = Mapping[str, float]
log = logging.getLogger(__name__)


def resources_of(remote: Mapping[str, Any]) -> dict[str, float]:
    """Return the resources of a trial, named as on Ray's nodes.

    Args:
        remote: arguments of ``ray.remote``: num_cpus, num_gpus, memory (bytes), resources,
            accelerator_type
    """
    requested = {
        "CPU": remote.get("num_cpus"),
        "GPU": remote.get("num_gpus"),
        "memory": remote.get("memory"),
        **(remote.get("resources") or {}),
    }
    if kind := remote.get("accelerator_type"):
        requested[f"accelerator_type:{kind}"] = 1 / UNITS
    return {name: float(amount) for name, amount in requested.items() if amount}


def hidden_gpu_hint(resource: str) -> str:
    """Return the reason for a missing GPU if the environment hides all GPUs."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if resource == "GPU" and hidden is not None and hidden.strip() in ("", "-1"):
        return f", as CUDA_VISIBLE_DEVICES={hidden!r} hides all"
    return ""


def has_single_device() -> bool:
    """Whether all trials on this machine would share Apple's MPS device, unknown to Ray.

    Every Mac with an Apple processor has MPS, so the driver need not import torch to check.
    """
    return sys.platform == "darwin" and platform.machine() == "arm64"


def config_key(resource: str) -> str:
    """Return the configuration key of a resource."""
    named = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
    return f"hydra.launcher.ray.remote.{named.get(resource, f'resources.{resource}')}"


def count_fitting(requested: Resources, nodes: Iterable[Resources]) -> int:
    """Return the number of trials that fit on all nodes together."""
    return sum(_count_on_node(requested, node) for node in nodes)


def _count_on_node(requested: Resources, node: Resources) -> int:
    """Return the number of trials that fit on a node."""
    return min(
        (_count_by_resource(name, requested[name], node.get(name, 0.0)) for name in requested),
        default=1,
    )


def _count_by_resource(name: str, amount: float, available: float) -> int:
    if name == "GPU" and amount < 1:  # a fractional GPU cannot span two GPUs
        return round(available) * (UNITS // _units(amount))
    return _units(available) // _units(amount)


def _units(amount: float) -> int:
    return max(1, round(amount * UNITS)) if amount else 0


def maximum(requested: Resources, nodes: Collection[Resources]) -> dict[str, float]:
    """Return the largest amount of each requested resource on any node."""
    return {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in requested}


def node_resources() -> list[Resources]:
    """Return the resources of each node of the connected cluster.

    ``ray.nodes()`` is avoided: without a head it blocks until Ray ends the process after a minute.

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
    """Number of trials that a cluster holds while its nodes join and leave.

    Args:
        requested: resources of a trial
        is_local: whether this machine is the entire cluster
    """

    def __init__(self, requested: Resources, is_local: bool) -> None:
        self._requested = requested
        self._is_local = is_local
        self._has_warned = False

    def count(self, nodes: Collection[Resources]) -> int:
        """Return how many trials fit; at least 1, which may have to wait for a node.

        Raises:
            UserError: this machine is the entire cluster and too small for a trial.
        """
        count = count_fitting(self._requested, nodes)
        if not count:
            self._report_missing(maximum(self._requested, nodes))
        if self._is_local and has_single_device():
            return 1
        return max(1, count)

    def _report_missing(self, available: Resources) -> None:
        """Raise or warn: a node may still join a cluster, but not this machine."""
        lacking = [name for name in available if available[name] < self._requested[name]]
        for name in lacking or available:
            where = "at most here" if self._is_local else "at most on any node"
            requested = self._requested[name]
            given = int(requested) if requested.is_integer() else requested
            why = hidden_gpu_hint(name) if self._is_local else ""
            message = fault(config_key(name), given, f"{available[name]:g} {where}{why}")
            if self._is_local:
                raise UserError(message)
            if not self._has_warned:
                log.warning("%s; trials wait for a node that has it", message)
        self._has_warned = True
