"""Tokens and the best of a search, counted as they are trained."""

import math

import pytest

from benchmarks.tabular.budget import Budget, Seeds
from benchmarks.tabular.families import Family
from benchmarks.tabular.methods import METHODS
from benchmarks.tabular.trace import Trace, TrialTrace

COMPLETE = TrialTrace(0, [(0.0, 0), (1.0, 50), (2.0, 100)], 2.0, 3.0, 2.9)
STOPPED = TrialTrace(1, [(0.0, 0), (1.0, 50)], 1.0, None, 3.5)
RUNNING = TrialTrace(2, [(1.0, 0), (3.0, 100), (5.0, 200)], math.inf, None, 2.0)
PAUSED = TrialTrace(3, [(0.0, 0), (1.0, 40), (3.0, 40), (4.0, 80)], 4.0, 2.5, 2.6, [(1.0, 3.0)])


def test_tokens_of_stopped_running_and_paused_trials_count_when_they_are_trained() -> None:
    trace = Trace(2, 10.0, [COMPLETE, STOPPED, RUNNING, PAUSED])
    assert trace.tokens_at(0.5) == 25 + 25 + 20
    assert trace.tokens_at(2.0) == 100 + 50 + 50 + 40
    assert trace.tokens_at(3.5) == 100 + 50 + 125 + 60
    assert list(trace.best()) == [(2.0, 240.0, 2.9), (4.0, 100 + 50 + 150 + 80, 2.6)]
    assert trace.until(2.7) == (4.0, 380.0)
    assert trace.until(2.5) is None


def test_nothing_counts_after_the_horizon() -> None:
    trace = Trace(2, 3.0, [COMPLETE, STOPPED, RUNNING, PAUSED])
    assert [hours for hours, _, _ in trace.best()] == [2.0]
    assert trace.hours == 3.0
    assert trace.tokens == 100 + 50 + 100 + 40


def test_a_search_ends_although_a_trial_stays_paused() -> None:
    left = TrialTrace(4, [(0.0, 0), (2.5, 50)], math.inf, None, 3.0, [(2.5, math.inf)])
    assert Trace(2, trials=[COMPLETE, left]).hours == 2.5
    assert Trace(2, 1.5, [COMPLETE, left]).hours == 1.5


def test_slots_are_idle_between_trials() -> None:
    first, second = (
        TrialTrace(number, [(began, 0)], began + 1, None, 0.0)
        for number, began in [(0, 0.0), (1, 2.0)]
    )
    assert Trace(1, trials=[first, second]).idle == pytest.approx(0.5)
    assert [PAUSED.busy_hours(until) for until in (0.5, 2.0, 3.5, 9.0)] == [0.5, 1.0, 1.5, 2.0]


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_uses_its_slots_and_nothing_more_until_the_horizon(method: str) -> None:
    trace = METHODS[method].run(
        Family("diverging_extreme", 4), 4, Budget(hours=5.0), Seeds(4, 5, 6)
    )
    tokens = max(trial.tokens for trial in trace.trials)
    assert trace.horizon == trace.hours == 5.0
    assert sum(trial.busy_hours(5.0) > trial.busy_hours(4.9999) for trial in trace.trials) == 4
    assert trace.idle < 0.2
    # The fastest trial takes 0.9 * 0.75 * 2 hours.
    assert 0.4 * 4 * 5 / 2 < trace.tokens / tokens < 4 * 5 / (0.9 * 0.75 * 2)
    assert all(list(trial.progress) == sorted(trial.progress) for trial in trace.trials)
