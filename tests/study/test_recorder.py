import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from tests.studies import in_memory, start
from ugro.errors import StudyFailed
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.retries import retrying
from ugro.study import recorder, storage
from ugro.study.recorder import Recorder
from ugro.study.study import Study, create_or_continue
from ugro.study.trial_record import recorded_outcome

OVER = {"lora.r": CategoricalDistribution((4, 8))}


def test_trials_are_recorded_in_order() -> None:
    study = in_memory()
    start(study, OVER)  # an earlier trial has number 0
    writer = Recorder(study)
    first, second = (writer.start({"lora.r": r}, OVER, "sampler") for r in (4, 8))
    assert (first, second) == (1, 2)
    writer.report(second, 100, 3.0)
    writer.tell(second, Outcome.RUNG)
    writer.tell(first, Outcome.COMPLETE, TrialResult((2.0,), {"eval_loss": 2.0}))
    writer.close()
    _, first_trial, second_trial = study.trials()
    assert (first_trial.params, first_trial.value, recorded_outcome(first_trial)) == (
        {"lora.r": 4},
        2.0,
        Outcome.COMPLETE,
    )
    assert second_trial.params == {"lora.r": 8}
    assert (second_trial.value, second_trial.state) == (3.0, TrialState.PRUNED)


def test_an_error_of_the_storage_is_not_swallowed() -> None:
    writer = Recorder(in_memory())
    writer.report(7, 100, 3.0)  # no such trial
    with pytest.raises(KeyError):
        writer.close()


def test_a_second_driver_is_noticed() -> None:
    study = in_memory()
    writer = Recorder(study)
    start(study, OVER)
    writer.start({"lora.r": 4}, OVER, "sampler")
    with pytest.raises(StudyFailed, match="another driver records in study s"):
        writer.close()


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """Study with a trial, whose database another process keeps locked."""
    monkeypatch.setattr(storage, "BUSY_SECONDS", 0.01)
    study = create_or_continue("s", f"sqlite:///{tmp_path}/study.db", ["eval_loss"], ["minimize"])
    start(study, OVER)
    with closing(sqlite3.connect(tmp_path / "study.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield study


def test_a_persistent_error_drops_all_pending_writes(
    locked: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "retrying", partial(retrying, seconds=0.5))
    writer = Recorder(locked)
    writer.take_up(locked.every()[0])
    started = time.monotonic()
    for resource in range(20):
        writer.report(0, resource, 3.0)
    with pytest.raises(StudyFailed, match=r"cannot be written: .* database is locked"):
        writer.close()
    assert 0.5 < time.monotonic() - started < 9  # not 20 times half a second
    with pytest.raises(StudyFailed, match="database is locked"):
        writer.tell(0, Outcome.INTERRUPTED)


def test_a_driver_that_waits_for_a_write_gets_the_persistent_error(
    locked: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "retrying", partial(retrying, seconds=0.5))
    writer = Recorder(locked, "one of two", shared=True)
    writer.take_up(locked.every()[0])
    writer.report(0, 100, 3.0)  # fails; the next write is dropped
    with pytest.raises(StudyFailed, match=r"cannot be written: .* database is locked"):
        writer.withdraw(0)


@pytest.fixture
def _handles_sigint() -> Iterator[None]:
    """Handle SIGINT, which background processes of a shell ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_handles_sigint")
def test_an_interruption_stops_the_retries(locked: Study) -> None:
    writer = Recorder(locked)
    writer.take_up(locked.every()[0])
    for resource in range(5):
        writer.report(0, resource, 3.0)
    started = time.monotonic()
    main = threading.main_thread().ident
    threading.Timer(0.5, signal.pthread_kill, [main, signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    assert time.monotonic() - started < 5  # not 15 minutes
