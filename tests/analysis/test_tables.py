from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from ugro.analysis.report.how_run import _facts
from ugro.analysis.tables import tables_of
from ugro.events.events import (
    ModelChanged,
    SlotsCounted,
    StudyFinished,
    StudyStarted,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.observers.audit_log import AuditLog
from ugro.study.study import Study

from ..studies import ended, in_memory, start

SPACE = {
    "lora.r": CategoricalDistribution((4, 8)),
    "training.learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
}


def reported(number: int, step: int, loss: float, time: float) -> TrialReported:
    report = Report(step, 4, 100 * step, 400, step * 1.5, {"eval_loss": loss}, time=time)
    return TrialReported(number, report, Outcome.RUNG if number == 1 else None, 1, time=time)


@pytest.fixture
def study() -> Study:
    """Return a complete, a stopped, a failed and a running trial."""
    study = in_memory(objectives=["eval_loss"])
    begun = start(study, SPACE, "baseline", **{"lora.r": 8})
    study.report(begun, 100, 3.0)
    study.tell(begun, Outcome.COMPLETE, ended_with(2.5))
    stopped = start(study, SPACE)
    study.report(stopped, 100, 4.0)
    study.tell(stopped, Outcome.RUNG)
    study.tell(start(study, SPACE), Outcome.FAILED, error="ValueError: no")
    start(study, SPACE)
    return study


def ended_with(loss: float):  # type: ignore[no-untyped-def]
    from ugro.events.trial_report import TrialResult

    return TrialResult((loss,), {"eval_loss": loss, "tokens_seen": 400.0})


def test_a_record_alone_gives_trials_and_reports(study: Study) -> None:
    tables = tables_of(study)
    assert list(tables.trials["ending"]) == ["complete", "rung", "failed", "running"]
    assert list(tables.trials["eval_loss"].dropna()) == [2.5]
    assert list(tables.trials["lora.r"]) == [8, 4, 4, 4]
    assert list(tables.reports["value"]) == [3.0, 4.0]
    assert tables.baseline == 0
    assert list(tables.complete.index) == [0]
    assert list(tables.spans["number"]) == [0, 1, 2]
    assert tables.total is None


def test_the_log_tells_slots_stays_and_metrics(study: Study, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "events.jsonl")
    for event in (
        StudyStarted("s", "f", 9, 0, ("eval_loss",), ("minimize",), (), {"seed": 1}, {"ray": "2"}),
        SlotsCounted(2, time=1.0),
        ModelChanged("TPE", "trials are short", time=1.5),
        TrialStarted(0, "one:1", time=2.0),
        TrialStarted(1, "one:2", time=2.5),
        reported(0, 1, 3.1, time=3.0),
        TrialRetried(0, "its worker was lost", 1, time=4.0),
        TrialStarted(0, "two:7", time=5.0),
        reported(0, 1, 3.0, time=6.0),
        reported(1, 1, 4.0, time=6.5),
        TrialPaused(1, time=6.6),
        TrialResumed(1, time=6.7),
        TrialStarted(1, "one:2", time=6.8),
        TrialFinished(1, Outcome.RUNG, (), {}, time=7.0),
        TrialFinished(0, Outcome.COMPLETE, (2.5,), {}, time=8.0),
        TrialStarted(3, "one:2", time=8.5),
        StudyFinished("interrupted", time=9.0),
    ):
        log.observe(event)
    tables = tables_of(study, tmp_path)
    assert tables.total == 9
    assert tables.finished_because == "interrupted"
    assert tables.configuration == {"seed": 1}
    assert tables.provenance == {"ray": "2"}
    assert tables.model == "TPE: trials are short"
    assert dict(_facts(tables))["sampler"] == "TPE: trials are short"
    assert tables.slots.values.tolist() == [[1.0, 2]]
    assert tables.spans.values.tolist() == [
        [0, "one:1", 2.0, 4.0],
        [1, "one:2", 2.5, 6.6],  # and paused
        [0, "two:7", 5.0, 8.0],
        [1, "one:2", 6.8, 7.0],
        [3, "one:2", 8.5, 9.0],
    ]
    first, second = tables.reports.to_dict("records")
    assert (first["eval_loss"], first["seconds"], first["rung"]) == (3.0, 1.5, 1)  # the later one
    assert second["stop"] == "rung"


def test_each_driver_is_a_session_that_lasts_to_its_last_event(
    study: Study, tmp_path: Path
) -> None:
    log = AuditLog(tmp_path / "events.jsonl")
    begun = "s", "f", 9, 0, ("eval_loss",), ("minimize",)
    for event in (
        StudyStarted(*begun, ("lora.r=4,8",), time=1.0),
        TrialStarted(0, time=2.0),  # and then the driver was killed
        StudyStarted(*begun, ("lora.r=4,8", "hydra.sweeper.n_jobs=2"), time=100.0),
        StudyFinished("all trials are done", time=103.0),
    ):
        log.observe(event)
    tables = tables_of(study, tmp_path)
    assert tables.sessions[["began", "ended"]].values.tolist() == [[1.0, 2.0], [100.0, 103.0]]
    assert tables.overrides == ("lora.r=4,8", "hydra.sweeper.n_jobs=2")


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "minimize"]])
def test_an_empty_study_has_empty_tables(directions: list[str], tmp_path: Path) -> None:
    tables = tables_of(in_memory(*directions), tmp_path)
    assert tables.trials.empty
    assert tables.reports.empty
    assert tables.spans.empty
    assert tables.complete.empty
    assert tables.baseline is None


def test_the_best_is_the_largest_where_that_is_asked_for() -> None:
    study = in_memory("maximize")
    for value in (1.0, 3.0, 2.0):
        ended(study, SPACE, Outcome.COMPLETE, value)
    assert list(tables_of(study).complete.index) == [1, 2, 0]


def test_tables_are_of_the_newest_group_and_know_how_long_the_others_took(
    study: Study, tmp_path: Path
) -> None:
    study.begin_group()
    ended(study, SPACE, Outcome.COMPLETE, 3.5)
    log = AuditLog(tmp_path / "events.jsonl")
    for number in (0, 4):
        log.observe(TrialStarted(number, "w", time=10.0))
        log.observe(TrialFinished(number, Outcome.COMPLETE, (2.5,), {}, time=14.0 + number))
    tables = tables_of(study, tmp_path)
    assert list(tables.trials.index) == list(tables.complete.index) == [4]
    assert tables.slot_seconds.to_dict() == {4: 8.0}
    assert tables.stays.to_dict() == {0: 4.0, 4: 8.0}
    assert tables.baseline is None
