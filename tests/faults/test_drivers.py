"""A driver dies, is interrupted, or shares its study with another driver."""

import random
import signal
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from .sweeps import (
    FOUR_SLOTS,
    SPACE,
    TWO_SLOTS,
    Sweep,
    attempts,
    check_complete,
    events,
    study_in,
    swept,
    wait_for,
)


def kill_repeatedly(folder: Path, total: int, times: int, seconds: float) -> None:
    """Kill a driver at random moments, mostly while trials train."""
    chance = random.Random(0)
    overrides = ["study.name=s", SPACE, f"hydra.sweeper.n_trials={total}", *FOUR_SLOTS]
    faults = {"steps": 20, "seconds": seconds}
    log = folder / "multirun" / "s" / "events.jsonl"
    for _ in range(times):
        before = log.stat().st_size if log.exists() else 0
        after = chance.choices(["", "StudyStarted", "TrialReported"], [2, 2, 6])[0]
        with Sweep(folder, overrides, faults) as sweep:
            if after:
                wait_for(lambda: after in added(log, before))  # noqa: B023
            time.sleep(chance.uniform(0, 4))
            assert sweep.process.poll() is None, sweep.output()
            sweep.is_killed()
    swept(folder, *overrides, faults=faults)
    check_complete(folder, total)


def added(log: Path, before: int) -> str:
    """Return what was appended to a log after a byte offset."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(before)
        return file.read().decode()


def test_a_driver_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path, total=4, times=1, seconds=0.2)


@pytest.mark.faults
def test_a_driver_that_is_killed_twenty_times_loses_nothing(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path, total=40, times=20, seconds=0.25)
    began = [
        note
        for trial in sorted((tmp_path / "multirun/s/trials").iterdir())
        for note in attempts(trial)
        if note["what"] == "began"
    ]
    assert len(began) > 60  # the kills hit running trials


@pytest.mark.faults
def test_ctrl_c_saves_running_trials_and_the_same_command_continues_them(tmp_path: Path) -> None:
    overrides = ["study.name=s", SPACE, "hydra.sweeper.n_trials=5", *FOUR_SLOTS]
    faults = {"steps": 30, "seconds": 0.2}
    study = tmp_path / "multirun" / "s"
    with Sweep(tmp_path, overrides, faults) as sweep:
        wait_for(lambda: (study / "trials" / "0003" / "0003.jsonl").exists())
        time.sleep(1)
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.ends(30) == 130
        assert "Continue with: python" in sweep.output()
        assert "Traceback" not in sweep.output()
    left = study_in(tmp_path).trials()
    assert {trial.state for trial in left} == {TrialState.WAITING}
    assert all(trial.intermediate_values for trial in left)
    swept(tmp_path, *overrides, faults={"steps": 30})
    check_complete(tmp_path, 5)


@pytest.mark.faults
def test_a_second_ctrl_c_ends_the_sweep_at_once(tmp_path: Path) -> None:
    overrides = ["study.name=s", SPACE, "hydra.sweeper.n_trials=2", *FOUR_SLOTS]
    with Sweep(tmp_path, overrides, {"steps": 9, "seconds": 60}) as sweep:
        log = tmp_path / "multirun" / "s" / "events.jsonl"
        wait_for(lambda: log.exists() and "TrialReported" in log.read_text())
        sweep.process.send_signal(signal.SIGINT)
        time.sleep(2)
        assert sweep.process.poll() is None  # it waits for the trials' next step
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.ends(20) == 130
    assert {trial.state for trial in study_in(tmp_path).trials()} == {TrialState.WAITING}


@pytest.mark.faults
def test_more_trials_extend_a_finished_study(tmp_path: Path) -> None:
    for total in (2, 4):
        swept(tmp_path, "study.name=s", SPACE, f"hydra.sweeper.n_trials={total}", *FOUR_SLOTS)
        check_complete(tmp_path, total)


@pytest.mark.faults
@pytest.mark.parametrize("storage", ["postgresql", "journal"])
def test_two_drivers_share_a_study_without_double_work(
    storage: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"journal:///{tmp_path}/study.log"
    if storage == "postgresql":
        url = request.getfixturevalue("postgresql").url
    twelve = "lora.r=1,2,3,4,5,6,7,8,9,10,11,12"
    overrides = ["study.name=s", twelve, "hydra.sweeper.storage=${oc.env:STORAGE}", *TWO_SLOTS]
    given = {"STORAGE": url}
    faults = {"seconds": 0.2}
    with (
        Sweep(tmp_path, overrides, faults, given) as first,
        Sweep(tmp_path, overrides, faults, given) as second,
    ):
        assert (first.ends(), second.ends()) == (0, 0), first.output()
    check_complete(tmp_path, 12, storage=url)
    study = tmp_path / "multirun" / "s"
    drivers = [event["by"] for event in events(study, "TrialFinished")]
    assert len(drivers) == 12
    assert len(set(drivers)) == 2
    notes = [note for trial in (study / "trials").iterdir() for note in attempts(trial)]
    assert sum(note["what"] == "began" for note in notes) == 12
    written = [path.read_text(errors="replace") for path in study.rglob("*") if path.is_file()]
    assert not any(url in text for text in (*written, first.output()))  # it may hold a password


@pytest.mark.faults
def test_trials_of_a_dead_driver_are_taken_over_by_the_other(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/study.log"
    overrides = ["study.name=s", SPACE, "hydra.sweeper.n_trials=8", f"hydra.sweeper.storage={url}"]
    faults = {"seconds": 0.3}
    study = tmp_path / "multirun" / "s"
    with Sweep(tmp_path, [*overrides, *TWO_SLOTS], faults) as first:
        wait_for(lambda: (study / "trials" / "0001" / "0001.jsonl").exists())
        with Sweep(tmp_path, [*overrides, *TWO_SLOTS], faults) as second:
            wait_for(lambda: len(events(study, "StudyStarted")) == 2)
            first.is_killed()
            assert second.ends() == 0, second.output()
    check_complete(tmp_path, 8, storage=url)


@pytest.mark.faults
def test_a_second_driver_on_sqlite_is_rejected_in_one_line(tmp_path: Path) -> None:
    overrides = ["study.name=s", SPACE, "hydra.sweeper.n_trials=2", *TWO_SLOTS]
    log = tmp_path / "multirun" / "s" / "events.jsonl"
    other = tmp_path / "other"
    other.mkdir()
    with Sweep(tmp_path, overrides, {"seconds": 0.5}) as first:
        wait_for(log.exists)
        with Sweep(other, [*overrides, f"study.dir={log.parent}"]) as second:
            assert second.ends() == 1
            output = second.output()
            assert "study.name: 's' given, allowed: another name, or a storage for" in output
            assert "Traceback" not in output
        assert first.ends() == 0
    check_complete(tmp_path, 2)
