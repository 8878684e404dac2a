"""Nodes leave and join: the work of trials is kept, and waiting trials start."""

import signal
from pathlib import Path

import pytest

from ugro.events.event_log import read
from ugro.study.trial_record import retried

from ..faults.sweeps import Sweep, attempts, check_complete, events, study_in, swept, wait_for
from .conftest import Nodes, on

pytestmark = pytest.mark.faults


def running(study: Path) -> int:
    """Return the number of trials that run now."""
    trials: set[int] = set()
    for event in read(study / "events.jsonl"):
        if event["event"] == "TrialStarted":
            trials.add(event["number"])
        if event["event"] in ("TrialRetried", "TrialFinished"):
            trials.discard(event["number"])
    return len(trials)


def test_trials_of_a_lost_node_resume_elsewhere_and_a_new_node_is_used(
    nodes: Nodes, tmp_path: Path
) -> None:
    lost, kept = nodes.add(num_cpus=2), nodes.add(num_cpus=1)
    study = tmp_path / "multirun" / "s"
    gate = tmp_path / "gate"  # the length of a trial must not depend on the machine
    faults = {"steps": 4, "gate": str(gate)}
    with Sweep(tmp_path, on(nodes.address, 14), faults) as sweep:
        wait_for(lambda: len(events(study, "TrialStarted")) >= 3)
        wait_for(lambda: len(events(study, "TrialReported")) >= 12)
        nodes.lose(lost)
        wait_for(lambda: len(events(study, "TrialRetried")) == 2)
        nodes.add(num_cpus=3)
        # Three on the new node, one on the old; Ray takes long to give up the lost node.
        wait_for(lambda: running(study) == 4, 240)
        gate.touch()
        assert sweep.ends() == 0, sweep.output()
        assert "Traceback" not in sweep.output()
    check_complete(tmp_path, 14)
    assert [retried(trial) for trial in study_in(tmp_path).trials()].count(1) == 2
    assert kept.all_processes  # it is still alive


def test_waiting_trials_start_on_nodes_added_by_an_autoscaler(nodes: Nodes, tmp_path: Path) -> None:
    gate, study = tmp_path / "gate", tmp_path / "multirun" / "s"
    overrides = [*on(nodes.address, 4), "hydra.sweeper.n_jobs=3"]
    with Sweep(tmp_path, overrides, {"steps": 2, "gate": str(gate)}) as sweep:
        wait_for(lambda: len(events(study, "TrialAsked")) == 3)
        wait_for(lambda: nodes.waiting() == 3)  # what an autoscaler sees
        assert running(study) == 0
        for expected in (1, 3):
            nodes.add(num_cpus=expected - running(study))
            wait_for(lambda expected=expected: running(study) == expected)
        gate.touch()
        assert sweep.ends() == 0, sweep.output()
    assert "trials wait for a node that has it" in sweep.output()
    check_complete(tmp_path, 4)


def test_an_interrupted_trial_resumes_on_another_node_without_the_folder(
    nodes: Nodes, tmp_path: Path
) -> None:
    multirun = tmp_path / "multirun"
    multirun.mkdir()
    study = multirun / "s"
    first = nodes.add_without(multirun, cpus=2)
    with Sweep(tmp_path, on(nodes.address, 2), {"steps": 100, "seconds": 0.5}) as sweep:
        wait_for(lambda: len(events(study, "TrialReported")) >= 2 * 5)
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.ends() == 130, sweep.output()
    nodes.end(first)
    trials = [study / "trials" / f"{number:04d}" for number in range(2)]
    sealed = [attempts(trial)[-1]["step"] for trial in trials]
    for trial, at in zip(trials, sealed, strict=True):
        assert (trial / "checkpoints" / f"checkpoint-{at}" / "seal.json").exists()
    nodes.add_without(multirun, cpus=2)
    swept(tmp_path, *on(nodes.address, 2), faults={"steps": 100, "seconds": 0.01})
    check_complete(tmp_path, 2)
    for trial, at in zip(trials, sealed, strict=True):
        assert [note["step"] for note in attempts(trial) if note["what"] == "began"] == [0, at]
