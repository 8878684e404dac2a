import errno
import getpass
import json
import logging
import math
import os
import resource
import socket
from pathlib import Path

import pytest

from ugro.events.event_log import cut_off, read, scheduler_events
from ugro.events.events import (
    Event,
    EventStream,
    ModelChanged,
    ProposalRejected,
    SchedulerEvent,
    SlotsCounted,
    StudyFinished,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.study_state import StudyState
from ugro.events.trial_report import Report
from ugro.observers.audit_log import AuditLog
from ugro.observers.console_log import ConsoleLog

REPORT = Report(2, 4, 256, 512, 1.5, {"eval_loss": 3.5, "peak_memory_mb": 600.0}, time=9.0)
EVERY = [
    StudyStarted("s", "multirun/s", 5, 1, ("eval_loss",), ("minimize",), time=1.0),
    TrialAsked(1, {"lora.r": 8, "training.learning_rate": 0.000123456}, "baseline", time=2.0),
    ProposalRejected({"lora.r": 64}, ("lora.r <= 8",), time=3.0),
    TrialStarted(1, time=4.0),
    SlotsCounted(2, time=4.5),
    TrialReported(1, REPORT, None, time=5.0),
    TrialReported(1, REPORT, Outcome.RUNG, rung=2, time=6.0),
    TrialRetried(1, "WorkerLostError: gone", 1, time=6.5),
    TrialFinished(1, Outcome.RUNG, (), {"tokens_seen": 256.0, "train_seconds": 3.0}, time=7.0),
    TrialFinished(2, Outcome.COMPLETE, (3.25,), {"tokens_seen": 512.0}, time=7.5),
    TrialFinished(3, Outcome.FAILED, (), {}, "ValueError: as scripted", time=8.0),
    TrialReported(4, REPORT, Outcome.PAUSED, rung=1, time=8.1),
    TrialPaused(4, time=8.2),
    TrialResumed(4, time=8.3),
    TrialPaused(4, time=8.4),
    StudyFinished("all trials are done", time=9.0),
]


BY = f"{getpass.getuser()}@{socket.gethostname()}:{os.getpid()}"


def test_the_console_tells_by_which_model_the_sampler_proposes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    ConsoleLog(StudyState()).observe(ModelChanged("TPE", "there are several objectives"))
    assert caplog.messages == ["TPE proposes from now on: there are several objectives"]


def test_the_audit_log_has_an_object_per_line_and_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for events in (EVERY[:4], EVERY[4:]):
        log = AuditLog(path)
        for event in events:
            log.observe(event)
            written = path.read_text().splitlines()[-1]  # flushed at once
            assert json.loads(written)["time"] == event.time
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == [type(event).__name__ for event in EVERY]
    assert lines[1] == {
        "event": "TrialAsked",
        "time": 2.0,
        "utc": "1970-01-01T00:00:02.000+00:00",
        "by": BY,
        "number": 1,
        "parameters": {"lora.r": 8, "training.learning_rate": 0.000123456},
        "source": "baseline",
        "group": 0,
    }
    assert lines[6] == {
        "event": "TrialReported",
        "time": 6.0,
        "utc": "1970-01-01T00:00:06.000+00:00",
        "by": BY,
        "number": 1,
        "stop": "rung",
        "rung": 2,
        "step": 2,
        "total_steps": 4,
        "tokens_seen": 256,
        "total_tokens": 512,
        "seconds": 1.5,
        "eval_loss": 3.5,
        "peak_memory_mb": 600.0,
    }


def test_a_truncated_line_is_skipped_and_the_next_line_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = AuditLog(path)
    for event in EVERY:
        log.observe(event)
    complete = path.read_bytes()
    last = complete.rindex(b"\n", 0, -1) + 1
    for cut in range(last + 1, len(complete)):  # at every byte of the last line
        path.write_bytes(complete[:cut])
        AuditLog(path).observe(EVERY[0])
        kept = len(EVERY) - (cut < len(complete) - 1)  # only its end of line was missing
        assert [record["event"] for record in read(path)] == [
            type(event).__name__ for event in [*EVERY[:kept], EVERY[0]]
        ]


def test_the_reports_of_a_log_are_those_that_were_made(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert list(scheduler_events(read(path))) == []
    log = AuditLog(path)
    for event in EVERY:
        log.observe(event)
    known = [event for event in EVERY if isinstance(event, SchedulerEvent)]
    assert list(scheduler_events(read(path))) == known
    assert len(known) == 5


def test_an_event_that_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.jsonl"
    log = AuditLog(path)
    log.observe(EVERY[0])

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as trouble:
        trouble.setattr(Path, "open", full)
        for event in EVERY[1:3]:
            log.observe(event)
    assert caplog.text.count("No space left on device") == 1
    log.observe(EVERY[3])
    assert [record["time"] for record in read(path)] == [1.0, 2.0, 3.0, 4.0]


def test_a_partly_written_line_is_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.jsonl"
    log = AuditLog(path)
    log.observe(EVERY[0])
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        for event in EVERY[1:3]:
            log.observe(event)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caplog.text.count("cannot be written, trying again") == 1
    log.observe(EVERY[3])
    assert [record["time"] for record in read(path)] == [1.0, 2.0, 3.0, 4.0]
    assert cut_off(path) == [2]  # its 20 bytes


def test_a_nan_loss_is_written(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "events.jsonl")
    log.observe(TrialFinished(0, Outcome.DIVERGED, (), {"eval_loss": math.nan}))
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert math.isnan(json.loads(line)["metrics"]["eval_loss"])


def test_the_console_log_has_a_plain_line_per_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    console = ConsoleLog(StudyState())
    for event in EVERY:
        console.observe(event)
    assert caplog.messages == [
        "Study s: 5 trials, 1 of them done, in multirun/s",
        "trial 1: lora.r=8 training.learning_rate=0.0001235 (baseline)",
        "not run, lora.r <= 8: lora.r=64; others like it are counted",
        "2 trials at once",
        "trial 1 resumes, retry 1: WorkerLostError: gone",
        "trial 1 stopped at rung 2 after 256 tokens, 3 s",
        "trial 2 eval_loss 3.2500 after 512 tokens: the best so far",
        "trial 3 failed: ValueError: as scripted",
        "trial 4 is paused at 256 tokens",
        "trial 4 resumes: it was paused",
        "trial 4 is paused at 256 tokens",
        "Study ended: all trials are done: 1 stopped at rung, 1 complete, 1 failed, 1 earlier, "
        "1 paused, 1 not run, lora.r <= 8, in 8 s",
    ]


def test_the_line_of_the_best_trial_states_its_gain(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    console = ConsoleLog(StudyState())
    console.observe(EVERY[0])
    console.observe(TrialAsked(0, {}, "baseline"))
    for number, value in enumerate((4.0, 3.5, 3.75)):
        console.observe(TrialFinished(number, Outcome.COMPLETE, (value,), {}))
    assert caplog.messages[-3:] == [
        "trial 0 eval_loss 4.0000: the best so far",
        "trial 1 eval_loss 3.5000: the best so far, 0.5000 (12.5%) better than the baseline",
        "trial 2 eval_loss 3.7500",
    ]


def test_a_failing_observer_is_logged_once_and_the_others_continue(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def observe(self, event: Event) -> None:
            raise OSError("disk full")

    class Recorder:
        def __init__(self) -> None:
            self.events: list[Event] = []

        def observe(self, event: Event) -> None:
            self.events.append(event)

    recorder = Recorder()
    stream = EventStream([Broken(), recorder])
    for event in EVERY:
        stream.emit(event)
    assert recorder.events == EVERY
    assert [record.message for record in caplog.records] == ["Broken failed and was removed"]
