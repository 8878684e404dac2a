"""A sweep uses the resources of all nodes and collects files from nodes that do not share its
folder.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..faults.sweeps import Sweep, attempts, check_complete, events, swept, wait_for
from .conftest import Nodes, on

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def small_and_large() -> Iterator[Nodes]:
    """Cluster with a node of one slot, and a node of three slots and a GPU."""
    cluster = Nodes()
    cluster.add(num_cpus=1)
    cluster.add(num_cpus=3, num_gpus=1, resources={"fast": 1})
    yield cluster
    cluster.close()


@pytest.mark.parametrize(
    ("takes", "slots"),
    [
        ({"num_gpus": "0"}, 4),  # one on the small node, three on the large one
        ({"num_gpus": "0.4"}, 2),  # a GPU holds two such shares
        ({"num_gpus": "0", "resources": "{fast: 0.5}"}, 2),
    ],
)
def test_a_trial_goes_only_where_it_fits(
    small_and_large: Nodes, tmp_path: Path, takes: dict[str, str], slots: int
) -> None:
    gate = tmp_path / "gate"
    resources = [f"hydra.launcher.ray.remote.{key}={of}" for key, of in takes.items()]
    overrides = [*on(small_and_large.address, slots + 1), *resources]
    study = tmp_path / "multirun" / "s"
    with Sweep(tmp_path, overrides, {"steps": 2, "gate": str(gate)}) as sweep:
        wait_for(lambda: len(events(study, "TrialStarted")) == slots)
        assert [event["slots"] for event in events(study, "SlotsCounted")] == [slots]
        assert len(events(study, "TrialAsked")) == slots
        gate.touch()
        assert sweep.ends() == 0, sweep.output()
    check_complete(tmp_path, slots + 1)


def test_results_and_checkpoints_arrive_from_nodes_that_do_not_share_the_folder(
    nodes: Nodes, tmp_path: Path
) -> None:
    multirun = tmp_path / "multirun"
    multirun.mkdir()
    nodes.add_without(multirun, cpus=2)
    output = swept(tmp_path, *on(nodes.address, 3), faults={"steps": 3, "mib": 9})
    assert "Traceback" not in output
    check_complete(tmp_path, 3)
    for number in range(3):
        trial = multirun / "s" / "trials" / f"{number:04d}"
        assert (trial / ".hydra" / "config.yaml").exists()
        assert [note["what"] for note in attempts(trial)][-1] == "ended"
        assert (trial / "checkpoints" / "checkpoint-3" / "seal.json").exists()
    assert not list(multirun.glob("s/trials/.*"))


def test_a_driver_outside_the_cluster_uses_ray_client(nodes: Nodes, tmp_path: Path) -> None:
    nodes.add(num_cpus=2)
    output = swept(tmp_path, *on(nodes.client, 4), faults={"steps": 3})
    assert "Traceback" not in output
    check_complete(tmp_path, 4)
