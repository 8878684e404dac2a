"""Two drivers of one study, in one process."""

import json
from pathlib import Path

import pytest
from optuna.distributions import IntDistribution

from ugro.events.events import TrialAsked, TrialReported
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study
from ugro.study.trial_record import started, tokens_of
from ugro.sweep.drivers import Drivers
from ugro.sweep.other_drivers import SharedStudy

from ..studies import in_memory

OVER = {"lora.r": IntDistribution(1, 9)}


@pytest.fixture
def study() -> Study:
    return in_memory()


def peers_of(study: Study, drivers: Drivers, folder: Path, known: set[int]) -> SharedStudy:
    return SharedStudy(study, drivers, folder / "events.jsonl", 9, True, known)


def test_a_trial_that_finishes_later_is_news_once(study: Study, tmp_path: Path) -> None:
    known = {trial.number for trial in study.finished()}
    ran = study.start({"lora.r": 1}, OVER, "sampler", "another")
    study.tell(ran, Outcome.COMPLETE, TrialResult((2.0,), {"tokens_seen": 300.0}))
    peers = peers_of(study, Drivers(tmp_path), tmp_path, known)  # it has ended in between
    (ended,) = peers.news().finished
    assert (ended.number, tokens_of(ended)) == (0, 300)
    assert peers.news().finished == []


def test_trials_of_a_dead_driver_are_taken_over(study: Study, tmp_path: Path) -> None:
    study.start({"lora.r": 1}, OVER, "sampler", "dead")
    drivers = Drivers(tmp_path)
    peers = peers_of(study, drivers, tmp_path, set())
    with drivers.join(alone=False):
        taken = peers.claim_abandoned()
        assert taken is not None
        assert started(taken).number == 0
        assert peers.claim_abandoned() is None
        assert not peers.are_running()


def test_a_paused_trial_stays_with_its_driver_while_that_lives(
    study: Study, tmp_path: Path
) -> None:
    first, second = Drivers(tmp_path), Drivers(tmp_path)
    peers = peers_of(study, second, tmp_path, set())
    with second.join(alone=False):
        with first.join(alone=False):
            ran = study.start({"lora.r": 1}, OVER, "sampler", first.own)
            study.tell(ran, Outcome.PAUSED)
            assert peers.claim_abandoned() is None
            assert not peers.are_running()  # nobody waits for a trial that may never resume
            assert peers.news().remaining == 8  # of nine: it counts
        taken = peers.claim_abandoned()
        assert taken is not None
        assert started(taken) == ran
        assert peers.claim_abandoned() is None


def test_trials_of_other_groups_and_their_reports_are_ignored(study: Study, tmp_path: Path) -> None:
    study.start({"lora.r": 1}, OVER, "sampler", "another")
    study.begin_group()
    peers = peers_of(study, Drivers(tmp_path), tmp_path, set())
    assert peers.may_run(1, {"lora.r": 1})  # though it was tried in the group before
    asked = {
        "event": "TrialAsked", "by": "another", "time": 0.0, "parameters": {}, "source": "sampler",
    }  # fmt: skip
    reported = {
        "event": "TrialReported", "by": "another", "step": 1, "total_steps": 2, "seconds": 1.0,
        "tokens_seen": 10, "total_tokens": 20, "time": 0.0, "eval_loss": 2.0, "stop": None,
    }  # fmt: skip
    lines = [
        {**asked, "number": 1, "group": 1},
        {**asked, "number": 2, "group": 0},
        *({**reported, "number": number} for number in (0, 1, 2)),
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [(type(event), event.number) for event in peers.scheduler_events()] == [
        (TrialAsked, 1),
        (TrialReported, 1),
    ]
    news = peers.news()
    assert (news.started, news.remaining) == ([], 9)
