import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.observers.scripted_study import first_session, write
from ugro.cli import dashboard, mlflow, track
from ugro.cli.pages import announce, has_desktop
from ugro.errors import UserError
from ugro.study.study import create_or_continue


@pytest.fixture(autouse=True)
def _headless_in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of servers, which are not started."""
    commands: list[list[str]] = []

    def call(command: Sequence[str]) -> int:
        commands.append(list(command))
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    return commands


def test_mlflow_leads_to_the_saved_view_of_the_latest_study(
    served: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("multirun/s")
    write(folder, first_session(folder))
    track.main(["study.name=s", "tracking=mlflow"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        mlflow.main(["port=5123"])
    assert ended.value.code == 0
    assert "http://127.0.0.1:5123/#/experiments/1/runs?viewStateShareKey=ugro (trials of" in (
        capsys.readouterr().out
    )
    [command] = served
    assert "--backend-store-uri sqlite:///multirun/mlflow.db" in " ".join(command)
    assert "--host 127.0.0.1 --port 5123" in " ".join(command)


def test_mlflow_without_a_run_names_the_first_step(served: list[list[str]]) -> None:
    with pytest.raises(UserError, match=r"^no runs in multirun/mlflow\.db yet; run: make sweep$"):
        mlflow.main([])
    assert not Path("multirun").exists()
    assert not served


def test_dashboard_leads_to_the_latest_study_and_cannot_write(
    served: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    create_or_continue("s", "sqlite:///multirun/s/study.db", ["eval_loss"], ["minimize"])
    with pytest.raises(SystemExit) as ended:
        dashboard.main([])
    assert ended.value.code == 0
    shown = "Open http://127.0.0.1:8080/dashboard/studies/1 (study s); Ctrl-C ends the server.\n"
    assert capsys.readouterr().out == shown
    [command] = served
    assert command[1:5] == ["--host", "127.0.0.1", "--port", "8080"]
    assert command[5] == "sqlite:///file:multirun/s/study.db?mode=ro&uri=true"


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(UserError, match=rf"^port: '{port}' given, allowed: 1 to 65535$"):
        mlflow.main([f"port={port}"])


def test_a_page_is_opened_on_a_desktop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("ugro.cli.pages._open", opened.append)
    assert not has_desktop()
    announce("http://127.0.0.1:1/#a", "here")
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert has_desktop()
    announce("http://127.0.0.1:1/#a", "here")
    assert opened == ["http://127.0.0.1:1/#a"]
