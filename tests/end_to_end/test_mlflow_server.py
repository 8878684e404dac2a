"""MLflow as a team runs it: its server with a login, PostgreSQL and S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import QUICK
from ..stores import S3, MlflowServer, Postgresql, postgresql, s3
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
    login = tmp_path / "auth.ini"
    login.write_text(LOGIN.format(database=postgresql.url, password=PASSWORD))
    given = {
        "MLFLOW_AUTH_CONFIG_PATH": str(login),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "anything",
        "MLFLOW_S3_ENDPOINT_URL": s3.url,
    }
    where = (postgresql.url, "s3://bucket/artifacts")
    one = MlflowServer(*where, "--app-name", "basic-auth", environment=given)
    one.start()
    yield one.uri
    one.is_killed()


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
    [line] = [one for one in refused.stdout.splitlines() if one.startswith("mlflow ")]
    assert "WRONG" in line
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
