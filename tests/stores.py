"""Real servers on loopback, for tests; they can be stopped and started again."""

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest


def free_port() -> int:
    """One on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class S3:
    """moto's server, with a bucket ``bucket``."""

    def __init__(self) -> None:
        self._port = 0
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
        self.start()
        import boto3
        import requests

        requests.post(f"{self.url}/moto-api/reset", timeout=20)  # all servers hold the same
        boto3.client("s3", endpoint_url=self.url, region_name="us-east-1").create_bucket(
            Bucket="bucket"
        )

    @property
    def url(self) -> str:
        """Of the server."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def uri(self) -> str:
        """Of a folder in the bucket, as ``study.artifacts`` takes it."""
        at = f"scheme=http&endpoint_override=127.0.0.1%3A{self._port}&region=us-east-1"
        return f"s3://bucket/kept?{at}"

    def start(self) -> None:
        """Start it; what it holds outlives a stop."""
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()

    def stop(self) -> None:
        """Be gone."""
        self._server.stop()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An S3 server."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = S3()
    yield server
    server.stop()


class Postgresql:
    """A server of its own, in a folder of its own, heard on a socket there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it, or go on where it was stopped."""
        import pgserver

        pgserver.PostgresServer._instances.clear()
        self._server = pgserver.get_server(self._folder, cleanup_mode=None)
        self.url = f"postgresql+psycopg://postgres@/postgres?host={self._folder}"

    def stop(self) -> None:
        """As if the machine had lost its power."""
        from pgserver.postgres_server import pg_ctl

        pg_ctl(["-m", "immediate", "stop"], pgdata=self._folder, user=self._server.system_user)


@pytest.fixture
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL server."""
    pytest.importorskip("pgserver")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path must be short
    server = Postgresql(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


class MlflowServer:
    """``mlflow server`` with a database, which can be killed and started again.

    Args:
        database: URI
        artifacts: URI or folder
        options: others of the command line
        environment: variables of its own
    """

    def __init__(
        self,
        database: str,
        artifacts: str,
        *options: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        port = free_port()
        self.uri = f"http://127.0.0.1:{port}"
        self._command = [str(Path(sys.executable).with_name("mlflow")), "server"]
        self._command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        self._command += ["--artifacts-destination", artifacts, *options]
        self._environment = {
            "MLFLOW_BACKEND_STORE_URI": database,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Wait until it answers."""
        import requests

        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, **self._environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + 240
        while time.monotonic() < until:
            try:
                requests.get(f"{self.uri}/health", timeout=20).raise_for_status()
                return
            except requests.RequestException:
                time.sleep(0.2)
        raise AssertionError("no server")

    def is_killed(self) -> None:
        """With SIGKILL, its workers, too."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
