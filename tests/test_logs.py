import io
import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.types import RunMode
from rich.console import Console
from rich.live import Live

from ugro.logs import SweepLogHandler, Terminal, use_root_handlers

from .conftest import QUICK

Captured = pytest.CaptureFixture[str]


def say(handler: logging.Handler) -> None:
    """Log a message and a warning of UGRO and of another library."""
    for name in ("ugro.sweep", "optuna.study"):
        for level in (logging.INFO, logging.WARNING):
            record = logging.LogRecord(name, level, "", 0, "%s says", (name,), None)
            handler.handle(record)


def test_a_sweep_shows_messages_of_ugro(capsys: Captured) -> None:
    say(Terminal(RunMode.MULTIRUN, "INFO"))
    assert capsys.readouterr().out == "ugro.sweep says\nwarning: ugro.sweep says\n"


def test_a_trial_in_a_sweep_shows_only_warnings(capsys: Captured) -> None:
    say(Terminal(RunMode.MULTIRUN, "WARNING"))
    assert capsys.readouterr().out == "warning: ugro.sweep says\n"


@pytest.mark.parametrize("mode", [None, RunMode.RUN])
def test_a_single_trial_shows_all_messages(capsys: Captured, mode: RunMode | None) -> None:
    say(Terminal(mode, "WARNING"))
    assert capsys.readouterr().out == "ugro.sweep says\n" * 2 + "optuna.study says\n" * 2


def test_a_live_display_leaves_only_warnings(capsys: Captured) -> None:
    terminal = Terminal(RunMode.MULTIRUN, "INFO")
    display = io.StringIO()
    with Live("display", console=Console(file=display, force_terminal=True, width=80)):
        say(terminal)
    assert "warning: ugro.sweep says" in display.getvalue()
    assert display.getvalue().count("says") == 1
    assert capsys.readouterr().out == ""
    say(terminal)
    assert capsys.readouterr().out == "ugro.sweep says\nwarning: ugro.sweep says\n"


def test_the_log_of_a_sweep_includes_messages_from_before_its_folder_exists(tmp_path: Path) -> None:
    path = tmp_path / "study" / "sweep.log"
    handler = SweepLogHandler(str(path))
    say(handler)
    assert not path.parent.exists()
    path.parent.mkdir()
    say(handler)
    handler.close()
    assert path.read_text() == ("ugro.sweep says\n" * 2 + "optuna.study says\n" * 2) * 2


def test_a_log_that_cannot_be_written_is_ignored(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "sweep.log").mkdir()
    say(SweepLogHandler(str(tmp_path / "sweep.log")))
    assert capsys.readouterr() == ("", "")


def test_a_library_uses_the_root_handlers(
    caplog: pytest.LogCaptureFixture, capsys: Captured
) -> None:
    library = logging.getLogger("a_library")
    library.addHandler(logging.StreamHandler())
    library.propagate = False
    use_root_handlers("a_library")
    library.warning("chatter")
    assert capsys.readouterr() == ("", "")
    assert caplog.messages == ["chatter"]


def test_logging_json_writes_a_json_object_per_line(
    train_py: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    asked = ["logging=json", "hydra/launcher=basic"]
    done = train_py("-m", *QUICK, *asked, "lora.r=4", "study.name=s")
    assert done.returncode == 0, done.stderr
    study = tmp_path / "multirun" / "s"
    for file in (study / "sweep.log", study / "trials" / "0000" / "train.log"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert lines
        assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    assert any(line["message"].startswith("eval_loss ") for line in lines)
