"""A cluster of real Ray processes, some of which do not share the driver's folders."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..faults.sweeps import SPACE
from ..stores import free_port

STORE = 80 * 2**20  # bytes of a node's object store: Ray's minimum


class Nodes:
    """Nodes that join and leave; the head runs no trials."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        port = free_port()
        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
        head["ray_client_server_port"] = port
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self.client = f"ray://127.0.0.1:{port}"
        self._foreign: list[subprocess.Popen[bytes]] = []

    def add(self, **has: Any) -> Any:
        """Add a node with resources as in ``ray.init``."""
        return self._cluster.add_node(object_store_memory=STORE, **has)

    def add_without(self, folder: Path, cpus: int) -> subprocess.Popen[bytes]:
        """Add a node that sees an empty folder instead; skips the test without mount rights."""
        start = f"{Path(sys.executable).parent}/ray start --block --disable-usage-stats"
        has = f"--num-cpus={cpus} --object-store-memory={STORE}"
        hidden = f"mount -t tmpfs tmpfs {folder}"
        unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
        if subprocess.run([*unshare, hidden], capture_output=True, check=False).returncode:
            pytest.skip("only root may hide a folder")
        run = [*unshare, f"{hidden} && exec {start} --address={self.address} {has}"]
        node = subprocess.Popen(run, start_new_session=True, stdout=subprocess.DEVNULL)
        self._foreign.append(node)
        return node

    def lose(self, node: Any) -> None:
        """Remove a node as if it had lost power."""
        self._cluster.remove_node(node, allow_graceful=False)

    def waiting(self) -> int:
        """Return the number of trials that wait for a node, as an autoscaler sees it."""
        from ray._raylet import GcsClient
        from ray.autoscaler.v2.sdk import get_cluster_resource_state

        state = get_cluster_resource_state(GcsClient(address=self.address))
        return sum(request.count for request in state.pending_resource_requests)

    def end(self, node: subprocess.Popen[bytes]) -> None:
        """Stop a node; with --block, ``ray start`` ends its processes."""
        self._foreign.remove(node)
        node.terminate()
        node.wait(30)

    def close(self) -> None:
        """Stop all nodes."""
        for node in list(self._foreign):
            self.end(node)
        self._cluster.shutdown()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A cluster with a head on which no trial fits."""
    cluster = Nodes()
    yield cluster
    cluster.close()


def on(address: str, trials: int) -> list[str]:
    """Return the overrides of a sweep on the cluster."""
    return [
        "study.name=s",
        SPACE,
        f"hydra.sweeper.n_trials={trials}",
        "hydra/launcher=ray_cluster",
        "hydra.launcher.secrets=[FAULTS]",
        f"hydra.launcher.ray.init.address={address}",
    ]
