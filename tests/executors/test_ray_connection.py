"""The driver comes into a cluster, or hears in one line why not."""

import pytest
from hydra_plugins.hydra_ray_launcher import _launcher_util
from omegaconf import DictConfig, OmegaConf

from ugro.errors import UserError
from ugro.executors import ray_connection

CLIENT = OmegaConf.create({"address": "ray://head:10001"})
# What Ray's client server answers when the process that it forks for a driver dies (ray#63202),
# which it does now and then and never when asked to.
DIED = """Initialization failure from server:
Traceback (most recent call last):
  File "proxier.py", line 772, in Datapath
RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err for detailed logs.
"""


def failing(times: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[DictConfig]:
    """Ray lets one in at the try after those; the list tells of each."""
    tried: list[DictConfig] = []

    def start(init: DictConfig) -> None:
        tried.append(init)
        if len(tried) <= times:
            raise error

    monkeypatch.setattr(_launcher_util, "start_ray", start)
    return tried


def test_a_client_server_that_loses_its_helper_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = failing(2, ConnectionAbortedError(DIED), monkeypatch)
    ray_connection.connect(CLIENT)
    assert tried == [CLIENT] * 3
    [said] = caplog.messages
    assert said.endswith(
        "RuntimeError: Starting Ray client server failed. See "
        "ray_client_server_23000.err for detailed logs."
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionAbortedError(DIED), "Starting Ray client server failed"),
        (ConnectionError("ray client connection timeout"), "connection timeout"),
    ],
)
def test_a_cluster_that_lets_nobody_in_is_told_in_a_line(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_connection, "CLIENT_SECONDS", 0.0)
    tried = failing(100, error, monkeypatch)
    with pytest.raises(UserError, match=rf"address: 'ray://head:10001' given.*{said}") as told:
        ray_connection.connect(CLIENT)
    assert "\n" not in str(told.value)
    assert len(tried) == 1
