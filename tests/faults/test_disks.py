"""The disk is full, read-only or torn; the record is locked or its server is gone."""

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

ASKED = ["study.name=s", SPACE, "hydra.sweeper.n_trials=6", *TWO_SLOTS]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    with mounted(tmp_path / "disk", "size=24m") as disk:
        yield disk


@pytest.mark.faults
def test_a_full_disk_is_waited_for(small_disk: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    study = small_disk / "multirun" / "s"
    with Sweep(
        small_disk, ASKED, {"mib": 2, "seconds": 0.1}, {"NOTES": str(notes)}, log=tmp_path / "log"
    ) as sweep:
        wait_for(lambda: study.exists() and len(events(study, "TrialFinished")) >= 1)
        ballast = small_disk / "ballast"
        fill(ballast)
        time.sleep(8)
        assert sweep.process.poll() is None, sweep.said()
        ballast.unlink()
        assert sweep.ends() == 0, sweep.said()
        assert "Traceback" not in sweep.said()
    for one in notes.iterdir():
        shutil.copy(one, study / "trials" / one.stem)
    check_complete(small_disk, 6)


def test_a_folder_that_cannot_be_written_is_refused_by_one_line(tmp_path: Path) -> None:
    with mounted(tmp_path / "multirun", "ro"), Sweep(tmp_path, ASKED) as sweep:
        assert sweep.ends() == 1
        assert "study.dir: 'multirun/s' given, allowed: a folder that can be" in sweep.said()
        assert "Traceback" not in sweep.said()


def killed_in_mid_sweep(folder: Path) -> Path:
    """A study with two trials in flight; its folder."""
    study = folder / "multirun" / "s"
    with Sweep(folder, ASKED, {"steps": 20, "seconds": 0.2}) as sweep:
        begun = [study / "trials" / f"000{n}" / "checkpoints" for n in range(2)]
        wait_for(lambda: all(one.exists() and len(list(one.iterdir())) >= 1 for one in begun))
        time.sleep(1)
        sweep.is_killed()
    time.sleep(3)  # Ray ends the workers
    return study


@pytest.mark.faults
def test_a_corrupted_checkpoint_is_not_used(tmp_path: Path) -> None:
    study = killed_in_mid_sweep(tmp_path)
    torn = {}
    for checkpoints in study.glob("trials/*/checkpoints"):
        for checkpoint in checkpoints.iterdir():
            if (checkpoint / SEAL).exists():
                (checkpoint / "weights").write_bytes(b"other")
                torn[checkpoints.parent.name] = int(checkpoint.name.partition("-")[2])
    assert torn
    swept(tmp_path, *ASKED, faults={"steps": 20})
    for name in torn:
        began = [one["step"] for one in attempts(study / "trials" / name) if one["what"] == "began"]
        assert began == [0, 0]  # it had only this one
    swept(tmp_path, *ASKED, "study.name=calm", faults={"steps": 20})
    same = slice(len(torn))  # what is proposed after an interruption may differ
    check_alike(study_in(tmp_path).trials()[same], study_in(tmp_path, "calm").trials()[same])


@pytest.mark.faults
def test_a_log_that_was_cut_off_is_gone_on_with(tmp_path: Path) -> None:
    study = killed_in_mid_sweep(tmp_path)
    log = study / "events.jsonl"
    os.truncate(log, log.stat().st_size - 20)
    swept(tmp_path, *ASKED, faults={"steps": 20})
    check_complete(tmp_path, 6)


@pytest.mark.faults
def test_a_record_that_another_process_has_locked_is_waited_for(tmp_path: Path) -> None:
    database = tmp_path / "multirun" / "s" / "study.db"
    with Sweep(tmp_path, ASKED, {"seconds": 0.2}) as sweep:
        wait_for(lambda: events(database.parent, "TrialReported"))
        with sqlite3.connect(database, timeout=20) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(30)
        other.close()
        assert sweep.ends() == 0, sweep.said()
    check_complete(tmp_path, 6)


@pytest.mark.faults
def test_a_server_that_is_stopped_for_a_while_is_waited_for(
    postgresql: Postgresql, tmp_path: Path
) -> None:
    study = tmp_path / "multirun" / "s"
    asked = [*ASKED, "hydra.sweeper.storage=${oc.env:STORAGE}"]
    with Sweep(tmp_path, asked, {"seconds": 0.2}, {"STORAGE": postgresql.url}) as sweep:
        wait_for(lambda: events(study, "TrialReported"))
        postgresql.stop()
        time.sleep(30)
        postgresql.start()
        assert sweep.ends() == 0, sweep.said()
        assert "trying again" in sweep.said()
    check_complete(tmp_path, 6, storage=postgresql.url)


@pytest.mark.faults
def test_a_dashboard_that_reads_all_the_time_does_no_harm(tmp_path: Path) -> None:
    database = tmp_path / "multirun" / "s" / "study.db"
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            study_in(tmp_path).trials()

    with Sweep(tmp_path, ASKED, {"seconds": 0.1}) as sweep:
        wait_for(lambda: events(database.parent, "TrialAsked"))
        reader = threading.Thread(target=look)
        reader.start()
        try:
            assert sweep.ends() == 0, sweep.said()
        finally:
            done.set()
            reader.join()
    check_complete(tmp_path, 6)
