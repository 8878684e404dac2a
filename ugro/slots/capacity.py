"""How many trials does a cluster hold? Counted node by node: a trial does not lie across two."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

UNITS = 10_000  # Ray counts in such parts of a resource
Resources = Mapping[str, float]


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
    """What each node has of the cluster that this driver is connected to."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]
