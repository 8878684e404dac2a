"""MLflow as a team runs it: its server with a login, PostgreSQL and S3."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from ..conftest import QUICK
from ..faults.conftest import Postgresql, postgresql
from ..faults.sweeps import wait_for
from ..stores import S3, free_port, s3
from .studies import TrainPy

__all__ = ["postgresql", "s3"]
pytestmark = pytest.mark.long

PASSWORD = "a-long-enough-password"
LOGIN = """[mlflow]
default_permission = READ
database_uri = {database}
admin_username = admin
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@pytest.fixture
def server(postgresql: Postgresql, s3: S3, tmp_path: Path) -> Iterator[str]:
    """Started as in ``deploy/services/compose.yaml``; its address."""
    port, login = free_port(), tmp_path / "auth.ini"
    login.write_text(LOGIN.format(database=postgresql.url, password=PASSWORD))
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(port), "--app-name", "basic-auth"]
    command += ["--artifacts-destination", "s3://bucket/artifacts"]
    given = {
        "MLFLOW_BACKEND_STORE_URI": postgresql.url,
        "MLFLOW_AUTH_CONFIG_PATH": str(login),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "anything",
        "MLFLOW_S3_ENDPOINT_URL": s3.url,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(command, env={**os.environ, **given}, stdout=log, stderr=log)
    uri = f"http://127.0.0.1:{port}"
    wait_for(lambda: is_healthy(uri), 240)
    yield uri
    process.terminate()
    process.wait(60)


def is_healthy(uri: str) -> bool:
    try:
        return requests.get(f"{uri}/health", timeout=20).ok
    except requests.ConnectionError:
        return False


def test_a_sweep_logs_in_through_the_environment_and_its_files_are_in_s3(
    server: str, s3: S3, train_py: TrainPy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3
    from mlflow import MlflowClient

    asked = [one for one in QUICK if not one.startswith("tracking=")]
    asked += ["lora.r=2,4", "study.name=s", "tracking=mlflow_server"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not-the-password")
    refused = train_py("-m", *asked, "study.preflight=true")
    assert refused.returncode == 1
    assert "mlflow" in refused.stdout.lower()
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    done = train_py("-m", *asked)
    assert done.returncode == 0, done.stderr
    assert "cannot be written" not in done.stdout + done.stderr
    client = MlflowClient(server)
    found = client.search_runs([client.get_experiment_by_name("ugro").experiment_id])
    assert {run.data.tags["trial"] for run in found} == {"study", "0", "1"}
    kept = boto3.client("s3", endpoint_url=s3.url, region_name="us-east-1")
    keys = [one["Key"] for one in kept.list_objects_v2(Bucket="bucket").get("Contents", [])]
    assert any(key.startswith("artifacts/") for key in keys)
    written = [path for path in (tmp_path / "multirun").rglob("*") if path.is_file()]
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]
