"""The driver connects to a cluster or reports in one line why it cannot."""

import pytest
from hydra_plugins.hydra_ray_launcher import _launcher_util
from omegaconf import DictConfig, OmegaConf

from ugro.errors import UserError
from ugro.executors import ray_connection

CLIENT = OmegaConf.create({"address": "ray://head:10001"})
# Answer of Ray's client server when the process that it forks for a driver dies (ray#63202), which
# happens rarely and cannot be provoked.
DIED = """Initialization failure from server:
Traceback (most recent call last):
  File "proxier.py", line 772, in Datapath
RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err for detailed logs.
"""


def failing(times: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[DictConfig]:
    """Make Ray reject the first attempts; return the list of attempts."""
    attempts: list[DictConfig] = []

    def start(init: DictConfig) -> None:
        attempts.append(init)
        if len(attempts) <= times:
            raise error

    monkeypatch.setattr(_launcher_util, "start_ray", start)
    return attempts


def test_a_client_server_that_lost_its_helper_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = failing(2, ConnectionAbortedError(DIED), monkeypatch)
    ray_connection.connect(CLIENT)
    assert attempts == [CLIENT] * 3
    [message] = caplog.messages
    assert message.endswith(
        "RuntimeError: Starting Ray client server failed. See "
        "ray_client_server_23000.err for detailed logs."
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionAbortedError(DIED), "Starting Ray client server failed"),
        (ConnectionError("ray client connection timeout"), "connection timeout"),
    ],
)
def test_an_unreachable_cluster_is_reported_in_one_line(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_connection, "CLIENT_SECONDS", 0.0)
    attempts = failing(100, error, monkeypatch)
    with pytest.raises(UserError, match=rf"address: 'ray://head:10001' given.*{message}") as raised:
        ray_connection.connect(CLIENT)
    assert "\n" not in str(raised.value)
    assert len(attempts) == 1
