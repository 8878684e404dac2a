from dataclasses import replace
from pathlib import Path

import pandas
import pytest

from tests.studies import in_memory, start
from ugro.analysis.findings.cost import cost_of
from ugro.analysis.tables import Tables, tables_of
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study


def trained(study: Study, how: Outcome, tokens: int) -> None:
    begun = start(study, {})
    if tokens:
        study.report(begun, tokens, 3.0)
    result = TrialResult((3.0,), {"tokens_seen": tokens}) if how.has_value else None
    study.tell(begun, how, result)


def with_log(
    study: Study,
    spans: list[tuple[int, float, float]],
    slots: list[tuple[float, int]],
    sessions: list[tuple[float, float]],
) -> Tables:
    return replace(
        tables_of(study),
        spans=pandas.DataFrame(
            [(number, "w", *at) for number, *at in spans],
            columns=["number", "worker", "began", "ended"],
        ),
        slots=pandas.DataFrame(slots, columns=["time", "slots"]),
        sessions=pandas.DataFrame(
            [("me", *at) for at in sessions], columns=["by", "began", "ended"]
        ),
    )


def test_what_early_stopping_left_out_is_told() -> None:
    study = in_memory()
    trained(study, Outcome.COMPLETE, 400)
    trained(study, Outcome.RUNG, 100)
    trained(study, Outcome.DIVERGED, 0)  # at its first step: nothing was trained on
    trained(study, Outcome.FAILED, 200)  # which early stopping has no part in
    cost = cost_of(tables_of(study), retried=2)
    assert cost.saved == pytest.approx(1 - 500 / 1200)
    assert (cost.trials, cost.finished, cost.failed, cost.retried) == (4, 4, 1, 2)
    assert cost.tokens == 700


def test_a_study_in_which_nothing_was_stopped_saved_nothing() -> None:
    study = in_memory()
    trained(study, Outcome.COMPLETE, 400)
    trained(study, Outcome.COMPLETE, 200)  # a shorter one, by its own configuration
    assert cost_of(tables_of(study), 0).saved == 0


def test_slots_are_busy_while_trials_stay_in_them() -> None:
    study = in_memory()
    for _ in range(3):
        trained(study, Outcome.COMPLETE, 400)
    spans = [(0, 0.0, 40.0), (1, 0.0, 60.0), (2, 40.0, 100.0)]
    # Two slots for 60 seconds, then one for 40: 160 seconds, of which 160 were used.
    cost = cost_of(with_log(study, spans, [(0.0, 2), (60.0, 1)], [(0.0, 100.0)]), 0)
    assert (cost.slot_seconds, cost.wall_seconds, cost.slots) == (160.0, 100.0, 2)
    assert cost.utilisation == 1.0


def test_a_night_between_two_sessions_costs_nothing() -> None:
    study = in_memory()
    trained(study, Outcome.COMPLETE, 400)
    trained(study, Outcome.COMPLETE, 400)
    spans = [(0, 0.0, 10.0), (1, 50_000.0, 50_010.0)]
    sessions = [(0.0, 20.0), (50_000.0, 50_020.0)]
    cost = cost_of(with_log(study, spans, [(0.0, 1), (50_000.0, 1)], sessions), 0)
    assert (cost.slot_seconds, cost.wall_seconds, cost.utilisation) == (20.0, 40.0, 0.5)


def test_of_drivers_side_by_side_the_clock_is_one_and_the_slots_are_not_known() -> None:
    study = in_memory()
    trained(study, Outcome.COMPLETE, 400)
    tables = with_log(study, [(0, 0.0, 90.0)], [(0.0, 1), (10.0, 1)], [(0.0, 100.0), (10.0, 60.0)])
    cost = cost_of(tables, 0)
    assert (cost.wall_seconds, cost.utilisation) == (100.0, None)


def test_of_another_programs_study_there_are_no_tokens() -> None:
    study = in_memory()
    for _ in range(2):
        trial = study.record.ask()
        trial.report(1.0, 3)
        study.record.tell(trial, 1.0)
    cost = cost_of(tables_of(study), 0)
    assert (cost.tokens, cost.slots, cost.utilisation, cost.saved) == (None, None, None, 0.0)
    assert cost.wall_seconds is not None


def test_an_empty_study_costs_nothing(tmp_path: Path) -> None:
    cost = cost_of(tables_of(in_memory(), tmp_path), 0)
    assert (cost.trials, cost.slot_seconds) == (0, 0.0)
    assert cost.wall_seconds is cost.utilisation is cost.saved is None


def test_what_early_ranks_were_worth_is_told_with_enough_complete_trials() -> None:
    """Seven keep their order; the eighth is last at a quarter, and first at the end."""
    study = in_memory()
    for number in range(8):
        early, final = (9.0, 1.0) if number == 7 else (4.0 + number / 10, 2.0 + number / 10)
        assert cost_of(tables_of(study), 0).agreement is None
        begun = start(study, {})
        study.report(begun, 25, early)
        study.report(begun, 100, final)
        study.tell(begun, Outcome.COMPLETE, TrialResult((final,), {"tokens_seen": 100}))
    # Seven ranks differ by one, and one by seven.
    assert cost_of(tables_of(study), 0).agreement == pytest.approx(1 - 6 * (7 + 49) / (8 * 63))
