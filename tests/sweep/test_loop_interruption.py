"""The loop when it is interrupted, and with other drivers of the study."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial

from ugro.errors import StudyFailed
from ugro.events.channel import TrialInterruptedError
from ugro.events.events import (
    StudyFinished,
    TrialReported,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import Listener
from ugro.study import storage
from ugro.study.study import Study, create_or_continue
from ugro.study.trial_record import tokens_of
from ugro.sweep.other_drivers import News, NoPeers

from ..studies import in_memory, start
from .scripted import Ran, Run, Script, Scripted


def test_an_interrupted_sweep_starts_no_more_trials(run: Run) -> None:
    ran = run(interrupted=lambda now: now >= 5)  # the scripts do not listen: they end
    assert ran.endings() == [Outcome.COMPLETE] * 4
    last = ran.events[-1]
    assert isinstance(last, StudyFinished)
    assert last.reason == "interrupted"


def test_interrupted_trials_are_resumed_first_and_counted_once(
    run: Run,
) -> None:
    saved = TrialInterruptedError("interrupted after step 3")
    ran = run(scripts=lambda n: Script(raises=saved), interrupted=lambda now: now >= 1)
    assert ran.endings() == [Outcome.INTERRUPTED] * 2
    slots = Scripted(lambda n: Script([4.0] * 5), lambda now: 2)
    again = run(ran=Ran(ran.study, slots, []))
    assert [number for number, _ in slots.submitted] == [0, 1, 2, 3, 4, 5]
    kinds = [type(event) for event in again.events[1:4]]  # after the slots were counted
    assert kinds == [TrialRetried, TrialRetried, TrialStarted]
    assert again.endings() == [Outcome.COMPLETE] * 6
    assert again.study.trials()[0].intermediate_values == {
        100: 5.0,
        200: 4.0,
        300: 3.0,
        400: 4.0,
        500: 4.0,
    }


class Another(NoPeers):
    """Another driver that has finished these trials and reported their tokens."""

    def __init__(self, study: Study) -> None:
        self._ended = study.finished()
        self._reported = [(90 + one.number, tokens_of(one)) for one in self._ended]

    def decisions(self) -> Iterator[TrialReported]:
        reports, self._reported = self._reported, []
        for number, tokens in reports:
            report = Report(1, 1, tokens, tokens, 1.0, {"eval_loss": 9.0}, 0.0)
            yield TrialReported(number, report, None)

    def news(self) -> News:
        ended, self._ended = self._ended, []
        return News([], [numbered(one, 90 + one.number) for one in ended], remaining=6)


def numbered(trial: FrozenTrial, number: int) -> FrozenTrial:
    copy = deepcopy(trial)
    copy.number = number
    return copy


def others(*endings: Outcome) -> Study:
    study = in_memory()
    for how in endings:
        trial = start(study, {"lora.r": IntDistribution(1, 9)})
        study.tell(trial, how, TrialResult((9.0,), {"tokens_seen": 150.0}), "KeyError: 'x'")
    return study


def test_failures_of_other_drivers_count(run: Run) -> None:
    elsewhere = Another(others(*[Outcome.FAILED] * 4))
    ran = Ran(in_memory(), Scripted(lambda n: Script(), lambda now: 1), [])
    with pytest.raises(StudyFailed, match=r"^4 trials failed, more than .*max_failure_rate"):
        run(peers=elsewhere, ran=ran)


def test_tokens_of_another_drivers_trial_count_once(run: Run) -> None:
    elsewhere = Another(others(Outcome.RUNG))
    # Six trials of 300 tokens, and 150 elsewhere that are reported and then finished at the end.
    ran = run("study.max_tokens=2000", peers=elsewhere)
    assert ran.endings() == [Outcome.COMPLETE] * 6
    assert isinstance(ran.events[-1], StudyFinished)
    assert ran.events[-1].reason == "all trials are done"


def test_a_second_ctrl_c_does_not_wait_for_an_unreachable_storage(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "BUSY_SECONDS", 0.01)
    study = create_or_continue("s", f"sqlite:///{tmp_path}/study.db", ["eval_loss"], ["minimize"])

    class Twice(Scripted):
        def wait(self, listener: Listener, seconds: float) -> Any:
            raise KeyboardInterrupt

    ran = Ran(study, Twice(lambda n: Script(), lambda now: 2), [])
    began = time.monotonic()
    with closing(sqlite3.connect(tmp_path / "study.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StudyFailed, match="database is locked"):
            run(ran=ran)
    assert time.monotonic() - began < 60  # not 15 minutes; Optuna's own retries take some seconds
    assert isinstance(ran.events[-1], StudyFinished)


def test_an_interrupted_study_closes_running_trials(run: Run) -> None:
    class Interrupted(Scripted):
        def wait(self, listener: Listener, seconds: float) -> Any:
            raise KeyboardInterrupt

    ran = Ran(in_memory(), Interrupted(lambda n: Script(), lambda now: 2), [])
    with pytest.raises(KeyboardInterrupt):
        run(ran=ran)
    assert ran.endings() == [Outcome.INTERRUPTED] * 2
