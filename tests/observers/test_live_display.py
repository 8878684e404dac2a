"""A pyte terminal shows what a display leaves behind."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest
from rich.console import Console, RenderResult

from tests.conftest import QUICK, ROOT
from ugro.events.events import (
    Event,
    SlotsCounted,
    StudyFinished,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialReported,
)
from ugro.events.outcome import Outcome
from ugro.events.study_state import StudyState
from ugro.events.trial_report import Report
from ugro.observers import live_display
from ugro.observers.display import Display
from ugro.observers.live_display import LiveDisplay, is_watched

BEGIN = [
    StudyStarted("mine", "multirun/mine", 10, 0, ("eval_loss",), ("minimize",)),
    SlotsCounted(2),
    TrialAsked(0, {"lora.r": 8}, "baseline"),
]
END = StudyFinished("all trials are done")


class Terminal(io.StringIO):
    """Keeps what a program wrote on a terminal of 80 x 24."""

    def isatty(self) -> bool:
        return True

    def console(self) -> Console:
        return Console(file=self, force_terminal=True, width=80, height=24)

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + 10
        while text not in self.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
        assert text in self.getvalue()


def seen(written: str) -> tuple[list[str], pyte.Screen]:
    """Return the lines on the terminal, scrolled ones included, and the screen."""
    screen = pyte.HistoryScreen(80, 24, history=1000)
    pyte.Stream(screen).feed(written.replace("\n", "\r\n"))
    scrolled = ["".join(line[x].data for x in range(80)).rstrip() for line in screen.history.top]
    return [line for line in (*scrolled, *(row.rstrip() for row in screen.display)) if line], screen


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def shown_on(terminal: Terminal) -> LiveDisplay:
    return LiveDisplay(StudyState(), terminal.console())


def test_the_display_is_shown_during_the_study_and_cleared_at_its_end(
    terminal: Terminal,
) -> None:
    watching = shown_on(terminal)
    for event in BEGIN:
        watching.observe(event)
    terminal.wait_for("0 of 10 trials")
    before, screen = seen(terminal.getvalue())
    assert before[0].startswith("mine")
    assert screen.cursor.hidden
    watching.observe(END)
    after, screen = seen(terminal.getvalue())
    assert after == []
    assert (screen.cursor.y, screen.cursor.x, screen.cursor.hidden) == (0, 0, False)


def test_nothing_is_shown_before_trials_can_run(terminal: Terminal) -> None:
    watching = shown_on(terminal)
    watching.observe(BEGIN[0])
    watching.observe(END)
    assert terminal.getvalue() == ""


def test_printed_output_stays_above_the_display(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    watching = shown_on(terminal)
    for event in BEGIN:
        watching.observe(event)
    terminal.wait_for("0 of 10 trials")
    print("the disk is full")
    lines, _ = seen(terminal.getvalue())
    assert lines[0] == "the disk is full"
    assert lines[1].startswith("mine")
    watching.observe(END)
    print("the summary")
    assert seen(terminal.getvalue())[0] == ["the disk is full", "the summary"]


def test_a_failing_display_is_logged_once_and_removed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Display):
        def __rich_console__(self, *_: object) -> RenderResult:
            raise ValueError("cannot be drawn")
            yield

    before = sys.stdout
    monkeypatch.setattr(live_display, "Display", Broken)
    watching = shown_on(terminal)
    for event in BEGIN:
        watching.observe(event)
    watching._thread.join(10)
    watching.observe(TrialAsked(1, {}, "sampler"))
    watching.observe(END)
    assert [record.message for record in caplog.records] == [
        "The live display failed, plain lines follow"
    ]
    assert sys.stdout is before
    lines, screen = seen(terminal.getvalue())
    assert lines == []
    assert not screen.cursor.hidden


def test_the_driver_spends_no_time_on_rendering(terminal: Terminal) -> None:
    rendered_by = set()

    class Recorded(StudyState):
        def observe(self, event: Event) -> None:
            rendered_by.add(threading.current_thread().name)
            super().observe(event)

    watching = LiveDisplay(Recorded(), terminal.console())
    for event in BEGIN:
        watching.observe(event)
    report = Report(1, 2, 256, 512, 1.0, {"eval_loss": 3.0}, time=0.0)
    start = time.process_time()
    for number in range(1000):
        watching.observe(TrialReported(number % 64, report, None))
    mean_seconds = (time.process_time() - start) / 1000
    watching.observe(TrialFinished(0, Outcome.COMPLETE, (3.0,), {}))
    watching.observe(END)
    assert mean_seconds < 0.002
    assert rendered_by == {"progress"}


def test_the_rows_that_a_narrower_terminal_wraps_are_erased() -> None:
    # 80 columns take two rows of 40, 81 take three, 40 and 0 take one.
    control = live_display._erase_wrapped([80, 81, 40, 0], 40)
    assert control.segment.text == "\x1b[2K\x1b[1A" * 3


@pytest.mark.parametrize(
    ("term", "file", "watched"),
    [
        ("xterm-256color", Terminal(), True),
        ("dumb", Terminal(), False),
        ("xterm-256color", io.StringIO(), False),
    ],
)
def test_only_a_terminal_with_cursor_control_gets_a_display(
    monkeypatch: pytest.MonkeyPatch, term: str, file: io.StringIO, watched: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as CI sets it, for what is no terminal
    assert is_watched(Console(file=file)) is watched


# Whole sweeps

SWEEP = ("-m", *QUICK, "hydra/launcher=basic", "lora.r=2,4", "study.name=s")


def test_a_sweep_on_a_terminal_ends_with_the_summary_alone(tmp_path: Path, cache_dir: Path) -> None:
    driver, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "UGRO_CACHE_DIR": str(cache_dir), "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)
    sweep = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *SWEEP],
        cwd=tmp_path,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    written = io.BytesIO()
    try:
        while got := os.read(driver, 65536):
            written.write(got)
    except OSError:  # raised when the other end is closed
        pass
    os.close(driver)
    assert sweep.wait(60) == 0
    text = written.getvalue().decode().replace("\r\n", "\n")
    assert "1 of 1 slots busy" in text
    lines, screen = seen(text)
    assert not screen.cursor.hidden
    assert [line[9:] for line in lines[:2]] == [
        "Study s: 2 trials, in multirun/s",
        "1 trial at once",
    ]
    assert lines[2] == "Study s"
    assert "All trials: multirun/s/trials.csv" in lines
    assert "Best: trial" in "\n".join(lines)
    assert not any("busy" in line or "Launching" in line for line in lines)


def test_a_sweep_into_a_pipe_prints_plain_lines(
    train_py: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = train_py(*SWEEP)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == ""
    lines = [line[9:] for line in done.stdout.splitlines()[:6]]
    assert lines[:3] == ["Study s: 2 trials, in multirun/s", "1 trial at once", "trial 0: lora.r=2"]
    assert lines[3].startswith("trial 0 eval_loss 5.")
    assert lines[4] == "trial 1: lora.r=4"
    log = (tmp_path / "multirun" / "s" / "sweep.log").read_text()
    assert "INFO ugro.observers.console_log: trial 1: lora.r=4\n" in log
    assert "basic_launcher: Launching 1 jobs locally" in log
    assert "Launching" not in done.stdout
