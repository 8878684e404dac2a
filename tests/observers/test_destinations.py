from pathlib import Path

import pytest

from ugro.config import MlflowConfig, TrackingConfig, WandbConfig, WandbMode
from ugro.errors import UserError
from ugro.observers import destinations as module
from ugro.observers.destinations import alone, check, destinations

WANDB = WandbConfig("ugro", "team", WandbMode.offline)


def mlflow(uri: str | None) -> TrackingConfig:
    return TrackingConfig(mlflow=MlflowConfig(uri, None, "ugro"))


def test_several_trackers_are_each_a_destination_and_none_is_none(tmp_path: Path) -> None:
    both = TrackingConfig(mlflow("http://host:5000").mlflow, WANDB)
    assert [one.name for one in destinations(both, tmp_path)] == ["mlflow", "wandb"]
    assert [one.name for one in destinations(alone(both, "wandb"), tmp_path)] == ["wandb"]
    assert destinations(TrackingConfig(), tmp_path) == []


def test_what_people_do_to_look_at_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "sqlite:///multirun/mlflow.db": "make mlflow",
        "sqlite:////a/b.db": "mlflow server --backend-store-uri sqlite:////a/b.db",
        "https://me:secret@host": "https://host",
    }
    for uri, look in given.items():
        (one,) = destinations(mlflow(uri), tmp_path)
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
