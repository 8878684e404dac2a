"""A cluster of Ray's own processes, a node each; some do not see the driver's folders."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STORE = 80 * 2**20  # bytes of a node's object store: Ray's least


class Nodes:
    """Nodes that join and leave; trials run on none of them but those that are added."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self._foreign: list[subprocess.Popen[bytes]] = []

    def add(self, **has: Any) -> Any:
        """A node; ``has`` says what, as ``ray.init`` names it."""
        return self._cluster.add_node(object_store_memory=STORE, **has)

    def add_without(self, folder: Path, cpus: int) -> subprocess.Popen[bytes]:
        """A node that sees an empty folder in that one's place; skips where one may not mount."""
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

    def close(self) -> None:
        """Nothing of it stays."""
        for node in self._foreign:
            node.terminate()  # with --block, ray start ends what it has started
        for node in self._foreign:
            node.wait(30)
        self._cluster.shutdown()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A head on which no trial fits."""
    made = Nodes()
    yield made
    made.close()
