"""The artifact store is unreachable for a while; then the machine's files are lost."""

import shutil
import time
from pathlib import Path

import pytest

from ugro.artifact_store import Folder
from ugro.study.study import read

from ..stores import S3, s3
from .sweeps import (
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

__all__ = ["s3"]

OVERRIDES = ["study.name=s", SPACE, "hydra.sweeper.n_trials=6", *TWO_SLOTS]


@pytest.mark.faults
def test_a_sweep_waits_for_an_unreachable_store(s3: S3, tmp_path: Path) -> None:
    study = tmp_path / "multirun" / "s"
    with Sweep(tmp_path, [*OVERRIDES, f"study.artifacts='{s3.uri}'"], {"seconds": 0.2}) as sweep:
        wait_for(lambda: events(study, "TrialReported"))
        s3.stop()
        wait_for(lambda: any("trying again" in log.read_text() for log in study.rglob("*.log")))
        time.sleep(5)
        assert sweep.process.poll() is None
        s3.start()
        assert sweep.ends() == 0, sweep.output()
        assert "Traceback" not in sweep.output()
    check_complete(tmp_path, 6)
    store = Folder(s3.uri, "s")
    names = set(store.names())
    for number in range(6):
        assert f"trials/000{number}/checkpoints/checkpoint-10/seal.json" in names
        assert f"trials/000{number}/.hydra/config.yaml" in names
    assert {"study.db", "events.jsonl", "trials.csv", "experiment/best.yaml"} <= names
    store.get("study.db", tmp_path / "copy.db")
    copied = read("s", f"sqlite:///{tmp_path}/copy.db").trials()
    assert [trial.values for trial in copied] == [t.values for t in study_in(tmp_path).trials()]


@pytest.mark.faults
def test_trials_resume_from_the_store_after_a_loss_of_local_files(s3: S3, tmp_path: Path) -> None:
    study = tmp_path / "multirun" / "s"
    overrides = [*OVERRIDES, f"study.artifacts='{s3.uri}'"]
    with Sweep(tmp_path, overrides, {"steps": 20, "seconds": 0.3}) as sweep:
        store = Folder(s3.uri, "s", "trials")
        for number in range(2):
            wait_for(lambda: any(f"000{number}/checkpoints" in name for name in store.names()))  # noqa: B023
        time.sleep(2)
        sweep.is_killed()
    time.sleep(3)  # Ray ends the workers
    started = sorted(path.name for path in (study / "trials").iterdir())
    for trial in started:
        shutil.rmtree(study / "trials" / trial)
    swept(tmp_path, *overrides, faults={"steps": 20})
    for trial in started[:2]:
        [began] = [note for note in attempts(study / "trials" / trial) if note["what"] == "began"]
        assert began["step"] > 0
    check_complete(tmp_path, 6)


def test_a_read_only_store_is_rejected_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Sweep(tmp_path, [*OVERRIDES, f"study.artifacts={tmp_path}/file/below"]) as sweep:
        assert sweep.ends() == 1
        assert f"study.artifacts: '{tmp_path}/file/below' given, allowed: a place" in sweep.output()
        assert "Traceback" not in sweep.output()
    assert not (tmp_path / "multirun" / "s").exists()
