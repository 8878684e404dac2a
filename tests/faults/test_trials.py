"""Faults of trials: killed workers, hangs, exhausted memory, exceptions and divergence."""

from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from ugro.events.outcome import Outcome
from ugro.study.study import Study
from ugro.study.trial_record import recorded_outcome, retried

from .sweeps import (
    FOUR_SLOTS,
    SPACE,
    TWO_SLOTS,
    Sweep,
    attempts,
    check_alike,
    check_complete,
    events,
    study_in,
    swept,
)


def overrides(total: int, *more: str, name: str = "s") -> list[str]:
    return [f"study.name={name}", SPACE, f"hydra.sweeper.n_trials={total}", *more]


def outcomes(study: Study) -> list[Outcome | None]:
    return [recorded_outcome(trial) for trial in study.trials()]


@pytest.mark.faults
def test_trials_of_killed_workers_resume_under_their_numbers(tmp_path: Path) -> None:
    faults = {"kill": 0.2}
    random = "hydra/sweeper/sampler=random"  # independent of the order in which trials end
    swept(tmp_path, *overrides(20, random, *FOUR_SLOTS), faults=faults)
    check_complete(tmp_path, 20)
    again = [trial.number for trial in study_in(tmp_path).trials() if retried(trial)]
    retries = events(tmp_path / "multirun" / "s", "TrialRetried")
    assert sorted(event["number"] for event in retries) == again
    assert len(again) >= 2
    swept(tmp_path, *overrides(20, random, *FOUR_SLOTS, name="calm"))
    check_alike(study_in(tmp_path).trials(), study_in(tmp_path, "calm").trials())


@pytest.mark.faults
def test_a_worker_that_dies_too_often_fails_only_its_trial(tmp_path: Path) -> None:
    log = swept(
        tmp_path, *overrides(3, "study.max_retries=0", *TWO_SLOTS), faults={"die": {"1": 4}}
    )
    study = study_in(tmp_path)
    assert outcomes(study) == [Outcome.COMPLETE, Outcome.FAILED, Outcome.COMPLETE]
    assert "WorkerLostError" in study.trials()[1].user_attrs["error"]
    assert "Traceback" not in log


@pytest.mark.faults
def test_a_hung_trial_is_killed_and_its_slot_reused(tmp_path: Path) -> None:
    limits = ("stoppers.max_seconds=8", "stoppers.kill_after_seconds=1")
    swept(tmp_path, *overrides(4, *limits, *TWO_SLOTS), faults={"hang": {"1": 4}})
    study = study_in(tmp_path)
    assert outcomes(study) == [
        Outcome.COMPLETE,
        Outcome.TIMED_OUT,
        Outcome.COMPLETE,
        Outcome.COMPLETE,
    ]
    assert study.trials()[1].state is TrialState.PRUNED
    assert study.trials()[1].last_step == 300


@pytest.mark.faults
def test_a_worker_without_heartbeat_is_killed_and_its_trial_resumes(tmp_path: Path) -> None:
    faults = {"freeze": {"1": 4}, "stop": {"2": 4}}
    log = swept(tmp_path, *overrides(4, "study.heartbeat_seconds=8", *TWO_SLOTS), faults=faults)
    check_complete(tmp_path, 4)
    assert [retried(trial) for trial in study_in(tmp_path).trials()] == [0, 1, 1, 0]
    retries = events(tmp_path / "multirun" / "s", "TrialRetried")
    why = {event["number"]: event["why"] for event in retries}
    assert "no heartbeat for 8 s, hanging at" in why[1]
    assert "scripted.py" in why[1]
    assert why[2].endswith("no heartbeat for 8 s")  # a stopped process sends nothing
    assert "Traceback" not in log


@pytest.mark.faults
def test_out_of_memory_is_not_retried_and_its_process_is_replaced(tmp_path: Path) -> None:
    one_slot = ("++hydra.launcher.ray.init.num_cpus=1", "hydra.launcher.ray.remote.num_gpus=0")
    swept(tmp_path, *overrides(3, *one_slot), faults={"memory": {"1": 4}})
    study = study_in(tmp_path)
    assert outcomes(study) == [Outcome.COMPLETE, Outcome.OUT_OF_MEMORY, Outcome.COMPLETE]
    assert study.trials()[1].state is TrialState.PRUNED
    trials = tmp_path / "multirun" / "s" / "trials"
    processes = [{note["process"] for note in attempts(trials / f"000{n}")} for n in range(3)]
    assert processes[0] == processes[1]  # the warm worker is reused
    assert processes[1] != processes[2]


@pytest.mark.faults
def test_nan_is_pruned_with_its_reason(tmp_path: Path) -> None:
    swept(tmp_path, *overrides(3, *TWO_SLOTS), faults={"nan": {"1": 4}})
    assert outcomes(study_in(tmp_path)) == [Outcome.COMPLETE, Outcome.DIVERGED, Outcome.COMPLETE]


def test_an_exception_fails_its_trial_and_keeps_the_traceback(tmp_path: Path) -> None:
    log = swept(tmp_path, *overrides(3, *TWO_SLOTS), faults={"raise": {"1": 4}})
    study = study_in(tmp_path)
    assert outcomes(study) == [Outcome.COMPLETE, Outcome.FAILED, Outcome.COMPLETE]
    failed = study.trials()[1].user_attrs
    assert failed["error"] == "KeyError: \"column 'text' is not in the data\""
    assert 'raise KeyError("column' in failed["traceback"]
    [written] = (tmp_path / "multirun" / "s" / "trials" / "0001").glob("*.log")
    assert 'raise KeyError("column' in written.read_text()
    assert "Traceback" not in log


@pytest.mark.parametrize(
    "slots",
    [pytest.param(TWO_SLOTS, marks=pytest.mark.faults), ("hydra/launcher=basic",)],
    ids=["ray", "basic"],
)
def test_a_study_whose_first_trials_all_fail_ends_with_the_error(
    slots: tuple[str, ...], tmp_path: Path
) -> None:
    faults: dict[str, Any] = {"raise": {str(number): 1 for number in range(9)}}
    with Sweep(tmp_path, overrides(9, *slots), faults) as sweep:
        assert sweep.ends() == 1
        assert "the first 3 trials all failed. KeyError: \"column 'text'" in sweep.output()
        summary = [line for line in sweep.output().splitlines() if "all failed." in line]
        assert not [line for line in summary if "ray" in line.lower()]  # not Ray's wrapper
        if slots == TWO_SLOTS:  # in process the trial's log is also on the terminal
            assert "Traceback" not in sweep.output()
    assert len(study_in(tmp_path).failed()) in (3, 4)  # the second slot may have run another


@pytest.mark.faults
def test_too_many_failures_end_the_study_and_everything_is_kept(tmp_path: Path) -> None:
    faults: dict[str, Any] = {"raise": {str(number): 1 for number in (1, 3, 5, 6, 7)}}
    rate = "hydra.sweeper.max_failure_rate=0.2"
    with Sweep(tmp_path, overrides(10, rate, *TWO_SLOTS), faults) as sweep:
        assert sweep.ends() == 1
        assert "3 trials failed, more than hydra.sweeper.max_failure_rate allows" in sweep.output()
    study = study_in(tmp_path)
    assert len(study.failed()) == 3
    assert study.best() is not None
    assert (tmp_path / "multirun" / "s" / "trials.csv").exists()
