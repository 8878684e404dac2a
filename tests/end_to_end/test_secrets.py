"""A secret in every place where a user may put one is in nothing that a sweep writes or says."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import QUICK
from .studies import TrainPy, table

SECRET = "xyzzy-canary-9f3a"
OF_LIBRARIES = (
    "AWS_SECRET_ACCESS_KEY",
    "HF_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "PGPASSWORD",
    "WANDB_API_KEY",
)
NOBODY = f"http://me:{SECRET}@127.0.0.1:1"  # nothing listens there
ON_A_SERVER = ("tracking=[mlflow_server,wandb]", "tracking.wandb.mode=offline")
TO_WORKERS = "hydra.launcher.secrets=[A_TOKEN]"


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OF_LIBRARIES, "A_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)


def places(folder: Path) -> Iterator[str]:
    """The files in which the secret is; databases also as their text."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        if SECRET.encode() in path.read_bytes():
            yield str(path.relative_to(folder))
        elif path.suffix == ".db":
            with sqlite3.connect(path) as database:
                if SECRET in "".join(database.iterdump()):
                    yield f"{path.relative_to(folder)}, as text"


@pytest.mark.long
@pytest.mark.usefixtures("planted")
def test_no_secret_is_written_or_said(train_py: TrainPy, tmp_path: Path) -> None:
    asked = [*QUICK, "lora.r=2,4", "study.name=s", "study.analysis=true"]
    asked.remove("study.analysis=false")
    asked.remove("tracking=none")
    done = train_py("-m", *asked, *ON_A_SERVER, TO_WORKERS, fresh=True)
    assert done.returncode == 0, done.stderr
    assert "mlflow at http://127.0.0.1:1 cannot be written" in done.stdout
    study = tmp_path / "multirun" / "s"
    assert [row["state"] for row in table(study)] == ["COMPLETE", "COMPLETE"]
    assert (study / "analysis" / "report.html").exists()
    sent = train_py("track", "tracking=mlflow", "study.name=s", module="ugro", fresh=True)
    assert sent.returncode == 0, sent.stderr
    assert (tmp_path / "multirun" / "mlflow.db").exists()
    said = [done.stdout, done.stderr, sent.stdout, sent.stderr]
    assert not [text for text in said if SECRET in text]
    assert list(places(tmp_path)) == []


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hydra.sweeper.storage", f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/s"),
        ("tracking.mlflow.uri", NOBODY),
        ("study.artifacts", f"s3://me:{SECRET}@bucket/folder"),
    ],
)
def test_a_secret_that_is_written_out_is_refused_and_not_repeated(
    train_py: TrainPy, tmp_path: Path, key: str, value: str
) -> None:
    given = [one for one in QUICK if not one.startswith("tracking=")]
    refused = train_py("-m", *given, "lora.r=2,4", "study.name=s", f"{key}='{value}'")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"{key}: ")
    assert SECRET not in refused.stderr + refused.stdout
    assert list(places(tmp_path)) == []
