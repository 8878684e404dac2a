import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ugro.config import MlflowConfig, TrackingConfig, WandbConfig, WandbMode
from ugro.errors import UserError
from ugro.tracking import trackers as module
from ugro.tracking.trackers import check, contact, only, trackers_of

WANDB = WandbConfig("ugro", "team", WandbMode.offline)


def mlflow(uri: str | None) -> TrackingConfig:
    return TrackingConfig(mlflow=MlflowConfig(uri, None, "ugro"))


def test_each_configured_tracker_is_created(tmp_path: Path) -> None:
    both = TrackingConfig(mlflow("http://host:5000").mlflow, WANDB)
    assert [each.name for each in trackers_of(both, tmp_path)] == ["mlflow", "wandb"]
    assert [each.name for each in trackers_of(only(both, "wandb"), tmp_path)] == ["wandb"]
    assert trackers_of(TrackingConfig(), tmp_path) == []


def test_each_tracker_has_a_view_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "sqlite:///multirun/mlflow.db": "make mlflow",
        "sqlite:////a/b.db": "mlflow server --backend-store-uri sqlite:////a/b.db",
        "https://me:secret@host": "https://host",
    }
    for uri, hint in given.items():
        (tracker,) = trackers_of(mlflow(uri), tmp_path)
        assert tracker.view_hint == hint


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [(None, "set MLFLOW_TRACKING_URI"), ("", "set MLFLOW_TRACKING_URI"), ("host", "http://HOST")],
)
def test_a_missing_or_invalid_server_is_rejected(uri: str | None, allowed: str) -> None:
    with pytest.raises(UserError, match=rf"^tracking\.mlflow\.uri: .*{allowed}"):
        check(mlflow(uri))


def test_a_literal_password_is_rejected_and_not_repeated() -> None:
    uri = "https://me:xyzzy@host"
    with pytest.raises(UserError, match=r"no password: MLFLOW_TRACKING_PASSWORD") as raised:
        check(mlflow(uri), {"mlflow": {"uri": uri}})
    assert "xyzzy" not in str(raised.value)
    check(mlflow(uri), {"mlflow": {"uri": "${oc.env:MLFLOW_TRACKING_URI,null}"}})
    check(mlflow("https://host"), {"mlflow": {"uri": "https://host"}})


def test_a_missing_wandb_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^tracking: 'wandb' given, .*pip install 'ugro\[wandb\]'"):
        check(TrackingConfig(wandb=WANDB))


class _Refusing(BaseHTTPRequestHandler):
    """Server that accepts a single token."""

    def do_GET(self) -> None:
        code = 404 if self.headers["Authorization"] == "Bearer right" else 401
        body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}' if code == 404 else b"who are you?"
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_wrong_token_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
        with pytest.raises(UserError, match=r"^tracking\.mlflow\.uri: .*401"):
            contact(mlflow(uri), "mlflow")
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "right")
        assert contact(mlflow(uri), "mlflow") == f"{uri} answers"
        server.shutdown()


def test_an_unreachable_server_is_reported() -> None:
    with socket.socket() as taken:  # bound, not listening: no process takes the port
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=r"^tracking\.mlflow\.uri: .*refused"):
            contact(mlflow(uri), "mlflow")


def test_contacting_a_database_does_not_create_it(tmp_path: Path) -> None:
    assert "can be written" in contact(mlflow(f"sqlite:///{tmp_path}/new/mlflow.db"), "mlflow")
    assert list(tmp_path.iterdir()) == []


def test_wandb_without_a_login_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert "offline" in contact(TrackingConfig(wandb=WANDB), "wandb")
    online = WandbConfig("ugro", None, WandbMode.online)
    with pytest.raises(UserError, match=r"^tracking\.wandb: .*WANDB_API_KEY"):
        contact(TrackingConfig(wandb=online), "wandb")
