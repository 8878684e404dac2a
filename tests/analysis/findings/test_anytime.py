from dataclasses import replace

import pandas
import pytest

from tests.studies import ended, in_memory
from ugro.analysis.findings.anytime import in_order, seconds, slot_seconds, tokens
from ugro.analysis.findings.cost import cost_of
from ugro.analysis.tables import Tables, tables_of
from ugro.events.outcome import Outcome


@pytest.fixture
def tables() -> Tables:
    """Return four trials: 0 complete after 50 s, 1 after 20 s, 2 stopped, 3 running."""
    study = in_memory()
    for how, value in ((Outcome.COMPLETE, 2.0), (Outcome.COMPLETE, 3.0), (Outcome.RUNG, 4.0)):
        ended(study, {}, how, value)
    found = tables_of(study)
    trials = found.trials.assign(ended=[50.0, 20.0, 30.0])
    reports = [
        (0, 100, 10.0, 4.0), (0, 200, 40.0, 3.0), (0, 300, 50.0, 2.0),
        (1, 150, 20.0, 3.0),
        (2, 70, 30.0, 5.0),
    ]  # fmt: skip
    sessions = [("a", 0.0, 25.0), ("a", 35.0, 60.0)]  # nobody was there for 10 s
    return replace(
        found,
        trials=trials,
        reports=pandas.DataFrame(reports, columns=["number", "tokens_seen", "time", "value"]),
        sessions=pandas.DataFrame(sessions, columns=["by", "began", "ended"]),
    )


def test_complete_trials_come_in_the_order_in_which_they_ended(tables: Tables) -> None:
    assert in_order(tables).to_dict() == {1: 3.0, 0: 2.0}
    assert list(in_order(tables).index) == [1, 0]


def test_tokens_of_all_trials_are_counted_stopped_ones_too(tables: Tables) -> None:
    spent = tokens(tables, in_order(tables))
    # By 20 s: 100 of trial 0 and 150 of trial 1. By 50 s: all of them.
    assert list(spent.at) == [250, 520]
    assert spent.total == 520


def test_tokens_after_the_last_report_are_charged_when_their_trial_ends(tables: Tables) -> None:
    measured = replace(tables, trials=tables.trials.assign(tokens_seen=[320.0, 150.0, 70.0]))
    spent = tokens(measured, in_order(measured))
    assert list(spent.at) == [250, 540]
    assert spent.total == cost_of(measured, 0).tokens == 540


def test_time_in_slots_is_charged_as_it_passes(tables: Tables) -> None:
    rows = [(0, "", 5.0, 50.0), (1, "", 10.0, 20.0), (2, "", 15.0, 30.0)]
    spans = pandas.DataFrame(rows, columns=["number", "worker", "began", "ended"])
    spent = slot_seconds(replace(tables, spans=spans), in_order(tables))
    # By 20 s: 15 of trial 0, all 10 of trial 1, 5 of trial 2. By 50 s: all of them.
    assert list(spent.at) == [30, 70]
    assert spent.total == 70


def test_time_passes_while_a_driver_runs(tables: Tables) -> None:
    spent = seconds(tables, in_order(tables))
    assert list(spent.at) == [20, 40]  # 25 + 15, the 10 between left out
    assert spent.total == 50


def test_without_drivers_it_passes_from_the_first_trial_on(tables: Tables) -> None:
    spans = pandas.DataFrame(
        [(0, "", 5.0, 50.0), (1, "", 10.0, 20.0)], columns=["number", "worker", "began", "ended"]
    )
    alone = replace(tables, sessions=tables.sessions[:0], spans=spans)
    spent = seconds(alone, in_order(alone))
    assert (list(spent.at), spent.total) == ([15, 45], 45)
    unknown = replace(alone, spans=spans[:0])
    assert seconds(unknown, in_order(unknown)).total == 0


def test_what_it_took_to_be_as_good_as_that(tables: Tables) -> None:
    spent = tokens(tables, in_order(tables))
    assert spent.reached(3.5, minimised=True) == 250
    assert spent.reached(2.0, minimised=True) == 520
    assert spent.reached(1.9, minimised=True) is None
    assert spent.reached(2.5, minimised=False) == 250
    assert replace(spent, total=0.0).reached(3.5, minimised=True) is None
