"""Real processes that send to real MLflow, and to one that is not there."""

import json
import logging
import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.sweeps import wait_for
from tests.observers.scripted_study import first_session, second_session, write
from tests.stores import free_port
from ugro.config import MlflowConfig, TrackingConfig
from ugro.tracking.exporter import Exporter, finish
from ugro.tracking.exporter_process import OneAtATime
from ugro.tracking.outbox import left

pytest.importorskip("mlflow")

PATIENCE = 200.0  # seconds, for a server to start on a busy machine


def nowhere() -> TrackingConfig:
    """MLflow at a port where nobody listens."""
    return TrackingConfig(MlflowConfig(f"http://127.0.0.1:{free_port()}", None, "u"))


def test_a_study_is_sent_while_it_runs_again_after_a_kill_and_to_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder, events = tmp_path / "s", first_session(tmp_path / "s")
    config = TrackingConfig(
        MlflowConfig(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts"), "ugro")
    )
    exporter = Exporter(folder, config)
    where = f"sqlite:///{tmp_path}/mlflow.db"
    write(folder, events)
    exporter.observe(events[0])
    wait_for(lambda: left(folder, "mlflow", where) == 0, PATIENCE)  # nobody has told it to end
    (process,) = [one.running for one in exporter._processes if one.running]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    write(folder, second_session(folder))
    exporter.observe(second_session(folder)[6])  # a trial has finished
    finish()
    if left(folder, "mlflow", where):  # a machine so busy that the end came before it was sent
        assert "python -m ugro track" in caplog.text
    else:
        assert "mlflow has it all" in caplog.text
        assert json.loads((folder / "tracking" / "mlflow.json").read_text())["runs"].keys() == {
            *("study", "0", "1", "2", "3")
        }


def test_a_server_that_is_not_there_is_told_once_and_what_is_left_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, events, config = tmp_path / "s", first_session(tmp_path / "s"), nowhere()
    exporter = Exporter(folder, config)
    write(folder, events)
    exporter.observe(events[0])
    wait_for(lambda: "trying again" in caplog.text, PATIENCE)
    began = time.monotonic()
    finish()
    assert time.monotonic() - began < 60  # 20 s at most, on a machine that is not busy
    assert caplog.text.count("trying again") == 1
    assert "mlflow has not got 21 events yet; this sends them: python -m ugro track" in caplog.text


def test_of_several_processes_one_sends(tmp_path: Path) -> None:
    one, other = OneAtATime(tmp_path, "mlflow"), OneAtATime(tmp_path, "mlflow")
    assert one.is_mine()
    assert one.is_mine()
    assert not other.is_mine()
    assert OneAtATime(tmp_path, "wandb").is_mine()
    one.release()
    assert other.is_mine()
