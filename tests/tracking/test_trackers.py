import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ugro.config import MlflowConfig, TrackingConfig, WandbConfig, WandbMode
from ugro.errors import UserError
from ugro.tracking import trackers as module
from ugro.tracking.trackers import alone, check, contact, trackers_of

WANDB = WandbConfig("ugro", "team", WandbMode.offline)


def mlflow(uri: str | None) -> TrackingConfig:
    return TrackingConfig(mlflow=MlflowConfig(uri, None, "ugro"))


def test_several_trackers_are_each_a_destination_and_none_is_none(tmp_path: Path) -> None:
    both = TrackingConfig(mlflow("http://host:5000").mlflow, WANDB)
    assert [one.name for one in trackers_of(both, tmp_path)] == ["mlflow", "wandb"]
    assert [one.name for one in trackers_of(alone(both, "wandb"), tmp_path)] == ["wandb"]
    assert trackers_of(TrackingConfig(), tmp_path) == []


def test_what_people_do_to_look_at_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "sqlite:///multirun/mlflow.db": "make mlflow",
        "sqlite:////a/b.db": "mlflow server --backend-store-uri sqlite:////a/b.db",
        "https://me:secret@host": "https://host",
    }
    for uri, look in given.items():
        (one,) = trackers_of(mlflow(uri), tmp_path)
        assert one.look == look


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [(None, "set MLFLOW_TRACKING_URI"), ("", "set MLFLOW_TRACKING_URI"), ("host", "http://HOST")],
)
def test_a_server_that_nobody_named_is_refused(uri: str | None, allowed: str) -> None:
    with pytest.raises(UserError, match=rf"^tracking\.mlflow\.uri: .*{allowed}"):
        check(mlflow(uri))


def test_a_password_that_is_written_out_is_refused_and_not_repeated() -> None:
    uri = "https://me:xyzzy@host"
    with pytest.raises(UserError, match=r"no password: MLFLOW_TRACKING_PASSWORD") as told:
        check(mlflow(uri), {"mlflow": {"uri": uri}})
    assert "xyzzy" not in str(told.value)
    check(mlflow(uri), {"mlflow": {"uri": "${oc.env:MLFLOW_TRACKING_URI,null}"}})
    check(mlflow("https://host"), {"mlflow": {"uri": "https://host"}})


def test_wandb_that_is_not_installed_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^tracking: 'wandb' given, .*pip install 'ugro\[wandb\]'"):
        check(TrackingConfig(wandb=WANDB))


class _Refusing(BaseHTTPRequestHandler):
    """A server that lets in who has the token."""

    def do_GET(self) -> None:
        code = 404 if self.headers["Authorization"] == "Bearer right" else 401
        body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}' if code == 404 else b"who are you?"
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_wrong_token_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
        with pytest.raises(UserError, match=r"^tracking\.mlflow\.uri: .*401"):
            contact(mlflow(uri), "mlflow")
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "right")
        assert contact(mlflow(uri), "mlflow") == f"{uri} answers"
        server.shutdown()


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=r"^tracking\.mlflow\.uri: .*refused"):
            contact(mlflow(uri), "mlflow")


def test_a_database_is_not_made_by_asking(tmp_path: Path) -> None:
    assert "can be written" in contact(mlflow(f"sqlite:///{tmp_path}/new/mlflow.db"), "mlflow")
    assert list(tmp_path.iterdir()) == []


def test_wandb_without_a_login_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert "offline" in contact(TrackingConfig(wandb=WANDB), "wandb")
    online = WandbConfig("ugro", None, WandbMode.online)
    with pytest.raises(UserError, match=r"^tracking\.wandb: .*WANDB_API_KEY"):
        contact(TrackingConfig(wandb=online), "wandb")
