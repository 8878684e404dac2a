"""Real MLflow: its SQLite store, and a server that is killed."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.observers.scripted_study import SECRET, first_session, second_session, write
from tests.stores import MlflowServer
from ugro.config import MlflowConfig
from ugro.tracking.mlflow import Mlflow, public_uri
from ugro.tracking.outbox import Outbox, count_pending

EVERY_CURVE = {"0": [(0, 4.0), (4, 3.5), (8, 3.25)], "1": [(0, 4.0), (4, 3.75)], "2": []}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty MLflow database; its tables take seconds to create."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def config(tmp_path: Path, empty: Path) -> MlflowConfig:
    """MLflow with a database and artifacts of the test."""
    shutil.copy(empty, tmp_path / "mlflow.db")
    return MlflowConfig(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts"), "ugro")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of a study after its first session."""
    write(tmp_path / "s", first_session(tmp_path / "s"))
    return tmp_path / "s"


def runs_on(uri: str | None) -> dict[str, Any]:
    """Return all runs by the tag ``trial``."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("ugro").experiment_id])
    runs = {run.data.tags["trial"]: run for run in found}
    assert len(runs) == len(found)  # no duplicates
    return runs


def curve(uri: str | None, run: Any, name: str) -> list[tuple[int, float]]:
    """Return the points of a metric in order."""
    from mlflow import MlflowClient

    points = MlflowClient(uri).get_metric_history(run.info.run_id, name)
    return [(each.step, each.value) for each in sorted(points, key=lambda point: point.timestamp)]


def check_complete(uri: str | None) -> None:
    """Assert that both sessions are complete and without duplicates."""
    runs = runs_on(uri)
    assert set(runs) == {"study", "0", "1", "2", "3"}
    for trial, points in {**EVERY_CURVE, "3": [(0, 4.0), (4, 3.0), (8, 2.75)]}.items():
        assert curve(uri, runs[trial], "by_step/eval_loss") == points
        by_tokens = [(100 * step, loss) for step, loss in points]
        assert curve(uri, runs[trial], "by_tokens/eval_loss") == by_tokens
    best = [(1, 3.25), (2, 3.25), (3, 3.25), (4, 2.75)]
    assert curve(uri, runs["study"], "best/eval_loss") == best


def test_a_study_is_a_run_and_its_trials_are_nested_in_it(
    config: MlflowConfig, folder: Path
) -> None:
    written = folder / "trials" / "0000" / ".hydra" / "config.yaml"
    written.parent.mkdir(parents=True)
    written.write_text("lora: {r: 4}\n")
    Outbox(folder, Mlflow(config)).send()
    runs = runs_on(config.uri)
    parent = runs.pop("study")
    summaries = {
        trial: (run.info.run_name, run.info.status, run.data.tags["state"])
        for trial, run in runs.items()
    }
    assert summaries == {
        "0": ("trial 0", "FINISHED", "complete"),
        "1": ("trial 1", "KILLED", "pruned"),
        "2": ("trial 2", "FAILED", "failed"),
        "3": ("trial 3", "KILLED", "interrupted"),
    }
    parents = {run.data.tags["mlflow.parentRunId"] for run in runs.values()}
    assert parents == {parent.info.run_id}
    assert (parent.info.run_name, parent.info.status) == ("s", "KILLED")
    first = runs["0"]
    assert (first.info.start_time, first.info.end_time) == (101_000, 106_000)  # the events'
    assert first.data.params["lora.r"] == "4"
    assert first.data.metrics["eval_loss"] == 3.25  # the result
    assert first.data.metrics["peak_memory_mb"] == 600.0
    assert first.data.tags["mlflow.source.git.commit"] == "abc123"
    (config_file,) = (Path(config.artifacts or "") / first.info.run_id).rglob("*.yaml")
    assert config_file.read_text() == "lora: {r: 4}\n"


def test_a_resumed_trial_reopens_its_run_and_sending_twice_changes_nothing(
    config: MlflowConfig, folder: Path
) -> None:
    Outbox(folder, Mlflow(config)).send()
    before = runs_on(config.uri)["3"].info.run_id
    write(folder, second_session(folder)[:4])
    Outbox(folder, Mlflow(config)).send()
    assert runs_on(config.uri)["3"].info.status == "RUNNING"
    write(folder, second_session(folder)[4:])
    Outbox(folder, Mlflow(config)).send()
    assert runs_on(config.uri)["3"].info.run_id == before
    check_complete(config.uri)
    shutil.rmtree(folder / "tracking")  # the progress is lost
    assert Outbox(folder, Mlflow(config)).send() == 29
    check_complete(config.uri)
    assert runs_on(config.uri)["3"].info.status == "FINISHED"


def test_no_secret_is_in_any_file_of_mlflow(
    config: MlflowConfig, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", SECRET)
    write(folder, second_session(folder))
    Outbox(folder, Mlflow(config)).send()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert "experiment=quickstart" in "".join(database.iterdump())
        assert SECRET not in "".join(database.iterdump())
    files = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_the_active_run_of_the_environment_is_left_alone(
    config: MlflowConfig, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    other = MlflowClient(config.uri).create_run("0")
    monkeypatch.setenv("MLFLOW_RUN_ID", other.info.run_id)
    Outbox(folder, Mlflow(config)).send()
    assert set(runs_on(config.uri)) == {"study", "0", "1", "2", "3"}
    assert MlflowClient(config.uri).get_run(other.info.run_id).data.metrics == {}


def test_a_run_deleted_by_a_user_stays_deleted(config: MlflowConfig, folder: Path) -> None:
    from mlflow import MlflowClient

    Outbox(folder, Mlflow(config)).send()
    MlflowClient(config.uri).delete_run(runs_on(config.uri)["3"].info.run_id)
    write(folder, second_session(folder))
    Outbox(folder, Mlflow(config)).send()
    assert set(runs_on(config.uri)) == {"study", "0", "1", "2"}


def test_two_studies_of_the_same_name_have_separate_runs(
    config: MlflowConfig, folder: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    write(tmp_path / "other", first_session(tmp_path / "other"))
    for study in (folder, tmp_path / "other"):
        Outbox(study, Mlflow(config)).send()
    assert len(MlflowClient(config.uri).search_runs(["1"])) == 10


def test_the_public_uri_of_a_server_has_no_login() -> None:
    assert public_uri("https://me:pass@host:5000/x") == "https://host:5000/x"
    assert public_uri("sqlite:////a/b.db") == "sqlite:////a/b.db"
    assert public_uri("sqlite:///b.db") == f"sqlite:///{Path.cwd()}/b.db"


# A server


@pytest.fixture
def server(tmp_path: Path, empty: Path) -> Iterator[MlflowServer]:
    """MLflow server, not started yet."""
    shutil.copy(empty, tmp_path / "server.db")
    server = MlflowServer(f"sqlite:///{tmp_path}/server.db", str(tmp_path / "artifacts"))
    yield server
    server.is_killed()


@pytest.fixture
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("_no_retries")
@pytest.mark.long
def test_a_server_that_starts_late_and_is_killed_gets_all_events(
    server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, events = tmp_path / "s", [*first_session(tmp_path), *second_session(tmp_path)]
    # The artifact folder of the embedded MLflow is configured; a server must ignore it.
    outbox = Outbox(folder, Mlflow(MlflowConfig(server.uri, "multirun/artifacts", "ugro")))
    write(folder, events[:9])
    _check_fails(outbox.send)
    server.start()
    assert outbox.send() == 9
    write(folder, events[9:17])
    assert outbox.send() == 8
    server.is_killed()
    write(folder, events[17:24])
    for _ in range(2):
        _check_fails(outbox.send)
    assert count_pending(folder, "mlflow", server.uri) == 7
    server.start()
    write(folder, events[24:])
    assert outbox.send() == 12
    (folder / "trials.csv").write_text("number,state\n")
    outbox.send_files()
    check_complete(server.uri)
    (table,) = (tmp_path / "artifacts").rglob("trials.csv")
    assert table.read_text() == "number,state\n"


def _check_fails(send: Callable[[], object]) -> None:
    with pytest.raises(Exception, match=r"Max retries|refused"):
        send()
