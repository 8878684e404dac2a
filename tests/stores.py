"""Real servers on loopback, for tests; they can be stopped and started again."""

import logging
import socket
from collections.abc import Iterator

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
