"""A node of a cluster goes, another one joins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ugro.event_log import read
from ugro.record.study import retried

from .sweeps import SPACE, Sweep, check_complete, events, study_in, wait_for


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head on which no trial fits, and a node with two slots."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


def with_slots(cluster: Any, slots: int) -> Any:
    return cluster.add_node(num_cpus=slots, object_store_memory=80 * 2**20)


@pytest.mark.faults
def test_trials_of_a_lost_node_go_on_elsewhere_and_a_new_node_is_used(
    cluster: Any, tmp_path: Path
) -> None:
    lost, kept = with_slots(cluster, 2), with_slots(cluster, 1)
    study = tmp_path / "multirun" / "s"
    asked = [
        "study.name=s",
        SPACE,
        "hydra.sweeper.n_trials=14",
        f"hydra.launcher.ray.init.address={cluster.address}",
    ]
    gate = tmp_path / "gate"  # the length of a trial must not depend on the machine
    faults = {"steps": 4, "gate": str(gate)}
    with Sweep(tmp_path, asked, faults) as sweep:
        wait_for(lambda: len(events(study, "TrialStarted")) >= 3)
        wait_for(lambda: len(events(study, "TrialReported")) >= 12)
        cluster.remove_node(lost, allow_graceful=False)
        wait_for(lambda: len(events(study, "TrialRetried")) == 2)
        with_slots(cluster, 3)
        wait_for(lambda: running(study) == 4)  # three of the new node beside one of the old
        gate.touch()
        assert sweep.ends() == 0, sweep.said()
        assert "Traceback" not in sweep.said()
    check_complete(tmp_path, 14)
    assert [retried(trial) for trial in study_in(tmp_path).trials()].count(1) == 2
    assert kept.all_processes  # it was not touched


def running(study: Path) -> int:
    """How many trials run now."""
    trials: set[int] = set()
    for one in read(study / "events.jsonl"):
        if one["event"] == "TrialStarted":
            trials.add(one["number"])
        if one["event"] in ("TrialRetried", "TrialFinished"):
            trials.discard(one["number"])
    return len(trials)
