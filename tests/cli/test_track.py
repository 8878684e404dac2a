from pathlib import Path

import pytest

from tests.observers.scripted_study import CONFIGURATION, SECRET, first_session, write
from ugro.cli.track import configured, main
from ugro.config import WandbMode
from ugro.errors import UserError
from ugro.tracking.outbox import count_pending


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's, below ``multirun/``; it has nothing but its audit log."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "multirun" / "s", first_session(tmp_path / "multirun" / "s"))
    return tmp_path / "multirun" / "s"


def test_a_fresh_mlflow_is_filled_from_the_audit_log_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study_arguments = ["study.name=s", "tracking=mlflow"]
    main(study_arguments)
    assert "21 events sent, nothing is left. To look at it: make mlflow" in capsys.readouterr().out
    main(study_arguments)
    assert "0 events sent" in capsys.readouterr().out
    main(["study.name=s", "tracking=mlflow", "uri=sqlite:///other.db"])
    assert "21 events sent" in capsys.readouterr().out


def test_a_server_that_is_not_there_is_one_line_and_nothing_is_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match="has not got 21 events") as told:
        main(["study.name=s", "uri=http://127.0.0.1:9"])
    assert len(str(told.value).splitlines()) == 1
    assert count_pending(folder, "mlflow", "http://127.0.0.1:9") == 21


def test_what_was_configured_is_taken_unless_another_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", SECRET)
    assert CONFIGURATION["tracking"]["mlflow"]["uri"] == "${oc.env:PASSWORD}"
    own = configured(folder, {}).mlflow
    assert own is not None
    assert own.uri == SECRET  # from the environment, as the sweep had it
    server = configured(folder, {"uri": "http://h:1"}).mlflow
    assert server is not None
    assert (server.uri, server.artifacts, server.experiment) == ("http://h:1", None, "ugro")
    both = configured(folder, {"tracking": "[mlflow,wandb]", "tracking.wandb.mode": "offline"})
    assert both.mlflow is not None
    assert both.wandb is not None
    assert both.wandb.mode is WandbMode.offline


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("study.name=other", "study.name: 'other' given"),
        ("tracking=mlfow", "tracking: 'mlfow' given, allowed: mlflow, mlflow_server, none, wandb"),
        ("tracking=none", "tracking: 'none' given"),
        ("nonsense=1", "argument: 'nonsense=1' given"),
        ("tracking.mlflow.url=x", "tracking.mlflow.url"),
    ],
)
def test_mistakes_are_one_line(arguments: str, told: str, folder: Path) -> None:
    with pytest.raises(UserError) as error:
        main([arguments])
    assert str(error.value).startswith(told)
    assert len(str(error.value).splitlines()) == 1
