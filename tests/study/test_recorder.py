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
from ugro.study.study import Study, create_or_continue, ending

OVER = {"lora.r": CategoricalDistribution((4, 8))}


def test_what_happens_is_recorded_in_order() -> None:
    study = in_memory()
    start(study, OVER)  # an earlier trial has number 0
    writer = Recorder(study)
    first, second = (writer.start({"lora.r": r}, OVER, "sampler") for r in (4, 8))
    assert (first, second) == (1, 2)
    writer.report(second, 100, 3.0)
    writer.tell(second, Outcome.RUNG)
    writer.tell(first, Outcome.COMPLETE, TrialResult((2.0,), {"eval_loss": 2.0}))
    writer.close()
    _, one, two = study.trials()
    assert (one.params, one.value, ending(one)) == ({"lora.r": 4}, 2.0, Outcome.COMPLETE)
    assert (two.params, two.value, two.state) == ({"lora.r": 8}, 3.0, TrialState.PRUNED)


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
    with pytest.raises(StudyFailed, match="another driver writes into study s"):
        writer.close()


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """A study of one trial, whose database another process never lets go of."""
    monkeypatch.setattr(storage, "BUSY_SECONDS", 0.01)
    study = create_or_continue("s", f"sqlite:///{tmp_path}/study.db", ["eval_loss"], ["minimize"])
    start(study, OVER)
    with closing(sqlite3.connect(tmp_path / "study.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield study


def test_what_cannot_be_written_for_long_is_given_up_with_all_that_waits(
    locked: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "retrying", partial(retrying, seconds=0.5))
    writer = Recorder(locked)
    writer.take_up(locked.every()[0])
    began = time.monotonic()
    for resource in range(20):
        writer.report(0, resource, 3.0)
    with pytest.raises(StudyFailed, match=r"cannot be written: .* database is locked"):
        writer.close()
    assert 0.5 < time.monotonic() - began < 9  # not 20 times half a second
    with pytest.raises(StudyFailed, match="database is locked"):
        writer.tell(0, Outcome.INTERRUPTED)


def test_a_driver_that_waits_for_what_it_has_written_is_told_that_the_storage_is_gone(
    locked: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "retrying", partial(retrying, seconds=0.5))
    writer = Recorder(locked, "one of two", shared=True)
    writer.take_up(locked.every()[0])
    writer.report(0, 100, 3.0)  # this one fails; the next is dropped, and nobody waits for it
    with pytest.raises(StudyFailed, match=r"cannot be written: .* database is locked"):
        writer.withdraw(0)


@pytest.fixture
def _hears_ctrl_c() -> Iterator[None]:
    """A shell lets what it runs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_hears_ctrl_c")
def test_who_does_not_want_to_wait_for_the_storage_need_not(locked: Study) -> None:
    writer = Recorder(locked)
    writer.take_up(locked.every()[0])
    for resource in range(5):
        writer.report(0, resource, 3.0)
    began = time.monotonic()
    main = threading.main_thread().ident
    threading.Timer(0.5, signal.pthread_kill, [main, signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    assert time.monotonic() - began < 5  # not 15 minutes
