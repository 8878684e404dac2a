"""Real exporter processes that send to MLflow and to an unreachable server."""

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
from ugro.tracking.exporter_process import SendLock
from ugro.tracking.outbox import count_pending

pytest.importorskip("mlflow")

PATIENCE = 200.0  # seconds, for a server to start on a busy machine


def unreachable() -> TrackingConfig:
    """MLflow at a port without a server."""
    return TrackingConfig(MlflowConfig(f"http://127.0.0.1:{free_port()}", None, "u"))


def test_a_study_is_sent_while_it_runs_and_after_its_process_was_killed(
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
    wait_for(
        lambda: count_pending(folder, "mlflow", where) == 0, PATIENCE
    )  # while the process runs
    (process,) = [each.running for each in exporter._processes if each.running]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    write(folder, second_session(folder))
    exporter.observe(second_session(folder)[6])  # an end of a trial restarts the process
    finish()
    if count_pending(folder, "mlflow", where):  # the machine was too busy
        assert "python -m ugro track" in caplog.text
    else:
        assert "mlflow is up to date" in caplog.text
        assert json.loads((folder / "tracking" / "mlflow.json").read_text())["runs"].keys() == {
            *("study", "0", "1", "2", "3")
        }


def test_an_unreachable_server_is_logged_once_and_pending_events_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, events, config = tmp_path / "s", first_session(tmp_path / "s"), unreachable()
    exporter = Exporter(folder, config)
    write(folder, events)
    exporter.observe(events[0])
    wait_for(lambda: "trying again" in caplog.text, PATIENCE)
    started = time.monotonic()
    finish()
    assert time.monotonic() - started < 60  # 20 s at most, on a machine that is not busy
    assert caplog.text.count("trying again") == 1
    assert "mlflow is missing 21 events; send them with: python -m ugro track" in caplog.text


def test_the_send_lock_admits_one_process(tmp_path: Path) -> None:
    first, second = SendLock(tmp_path, "mlflow"), SendLock(tmp_path, "mlflow")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    assert SendLock(tmp_path, "wandb").acquire()
    first.release()
    assert second.acquire()
