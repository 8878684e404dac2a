"""Faults of disks and storages: full, read-only, damaged, locked, or without their server."""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ugro.trial.checkpoints import SEAL

from ..disks import fill, mounted
from ..stores import Postgresql
from .sweeps import (
    SPACE,
    TWO_SLOTS,
    Sweep,
    attempts,
    check_alike,
    check_complete,
    events,
    study_in,
    swept,
    wait_for,
)

OVERRIDES = ["study.name=s", SPACE, "hydra.sweeper.n_trials=6", *TWO_SLOTS]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    with mounted(tmp_path / "disk", "size=24m") as disk:
        yield disk


@pytest.mark.faults
def test_a_sweep_waits_for_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    study = small_disk / "multirun" / "s"
    with Sweep(
        small_disk,
        OVERRIDES,
        {"mib": 2, "seconds": 0.1},
        {"NOTES": str(notes)},
        log=tmp_path / "log",
    ) as sweep:
        wait_for(lambda: study.exists() and len(events(study, "TrialFinished")) >= 1)
        ballast = small_disk / "ballast"
        fill(ballast)
        time.sleep(8)
        assert sweep.process.poll() is None, sweep.output()
        ballast.unlink()
        assert sweep.ends() == 0, sweep.output()
        assert "Traceback" not in sweep.output()
    for path in notes.iterdir():
        shutil.copy(path, study / "trials" / path.stem)
    check_complete(small_disk, 6)


def test_a_read_only_folder_is_rejected_in_one_line(tmp_path: Path) -> None:
    with mounted(tmp_path / "multirun", "ro"), Sweep(tmp_path, OVERRIDES) as sweep:
        assert sweep.ends() == 1
        assert "study.dir: 'multirun/s' given, allowed: a folder that can be" in sweep.output()
        assert "Traceback" not in sweep.output()


def killed_in_mid_sweep(folder: Path) -> Path:
    """Kill a sweep with two running trials and return the study's folder."""
    study = folder / "multirun" / "s"
    with Sweep(folder, OVERRIDES, {"steps": 20, "seconds": 0.2}) as sweep:
        started = [study / "trials" / f"000{n}" / "checkpoints" for n in range(2)]
        wait_for(lambda: all(path.exists() and any(path.iterdir()) for path in started))
        time.sleep(1)
        sweep.is_killed()
    time.sleep(3)  # Ray ends the workers
    return study


@pytest.mark.faults
def test_a_corrupted_checkpoint_is_not_used(tmp_path: Path) -> None:
    study = killed_in_mid_sweep(tmp_path)
    damaged = {}
    for checkpoints in study.glob("trials/*/checkpoints"):
        for checkpoint in checkpoints.iterdir():
            if (checkpoint / SEAL).exists():
                (checkpoint / "weights").write_bytes(b"other")
                damaged[checkpoints.parent.name] = int(checkpoint.name.partition("-")[2])
    assert damaged
    swept(tmp_path, *OVERRIDES, faults={"steps": 20})
    for name in damaged:
        notes = attempts(study / "trials" / name)
        # Each trial had only the damaged checkpoint.
        assert [note["step"] for note in notes if note["what"] == "began"] == [0, 0]
    swept(tmp_path, *OVERRIDES, "study.name=calm", faults={"steps": 20})
    same = slice(len(damaged))  # proposals after an interruption may differ
    check_alike(study_in(tmp_path).trials()[same], study_in(tmp_path, "calm").trials()[same])


@pytest.mark.faults
def test_a_truncated_log_is_continued(tmp_path: Path) -> None:
    study = killed_in_mid_sweep(tmp_path)
    log = study / "events.jsonl"
    os.truncate(log, log.stat().st_size - 20)
    swept(tmp_path, *OVERRIDES, faults={"steps": 20})
    check_complete(tmp_path, 6)


@pytest.mark.faults
def test_a_sweep_waits_for_a_locked_record(tmp_path: Path) -> None:
    database = tmp_path / "multirun" / "s" / "study.db"
    with Sweep(tmp_path, OVERRIDES, {"seconds": 0.2}) as sweep:
        wait_for(lambda: events(database.parent, "TrialReported"))
        with sqlite3.connect(database, timeout=20) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(30)
        other.close()
        assert sweep.ends() == 0, sweep.output()
    check_complete(tmp_path, 6)


@pytest.mark.faults
def test_a_sweep_waits_for_a_stopped_server(postgresql: Postgresql, tmp_path: Path) -> None:
    study = tmp_path / "multirun" / "s"
    overrides = [*OVERRIDES, "hydra.sweeper.storage=${oc.env:STORAGE}"]
    with Sweep(tmp_path, overrides, {"seconds": 0.2}, {"STORAGE": postgresql.url}) as sweep:
        wait_for(lambda: events(study, "TrialReported"))
        postgresql.stop()
        wait_for(lambda: "trying again" in sweep.output())
        time.sleep(5)
        assert sweep.process.poll() is None, sweep.output()
        postgresql.start()
        assert sweep.ends() == 0, sweep.output()
    check_complete(tmp_path, 6, storage=postgresql.url)


@pytest.mark.faults
def test_a_dashboard_that_reads_permanently_does_no_harm(tmp_path: Path) -> None:
    database = tmp_path / "multirun" / "s" / "study.db"
    done = threading.Event()

    def read_trials() -> None:
        while not done.is_set():
            study_in(tmp_path).trials()

    with Sweep(tmp_path, OVERRIDES, {"seconds": 0.1}) as sweep:
        wait_for(lambda: events(database.parent, "TrialAsked"))
        reader = threading.Thread(target=read_trials)
        reader.start()
        try:
            assert sweep.ends() == 0, sweep.output()
        finally:
            done.set()
            reader.join()
    check_complete(tmp_path, 6)
