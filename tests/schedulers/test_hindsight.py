"""Rungs at 100, 200, 400 and 800 of 1600 tokens."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugro.schedulers.hindsight import Hindsight
from ugro.schedulers.protocol import STOP, Handle

from .curves import Controller, play, result

AT = (100, 200, 400, 800, 1600)


def hindsight(
    whole: int = 4, spared: int | None = None, best: int = 2, mode: str = "min"
) -> Hindsight:
    return Hindsight("tokens_seen", "progress", mode, 1600, 100, 2, whole, spared, best)


def run(scheduler: Hindsight, trial: int, *losses: float) -> int:
    """How many tokens a trial comes to with these losses at 100, 200, 400, 800, 1600."""
    handle = Handle(str(trial))
    for tokens, loss in zip(AT, losses, strict=False):
        told = result(tokens, loss)
        if scheduler.on_trial_result(Controller(), handle, told) == STOP:
            return tokens
    scheduler.on_trial_remove(Controller(), handle)
    return AT[len(losses) - 1]


def test_the_first_trials_run_to_their_end_whatever_they_have() -> None:
    scheduler = hindsight()
    assert [run(scheduler, trial, *[9.0 + trial] * 5) for trial in range(4)] == [1600] * 4
    assert run(scheduler, 4, 20.0) == 100


def test_the_bar_is_what_the_best_in_the_end_had_at_the_rung() -> None:
    scheduler = hindsight()
    run(scheduler, 0, 5.0, 4.0, 3.0, 2.0, 1.0)  # best in the end, behind at first
    run(scheduler, 1, 4.0, 3.5, 3.0, 2.5, 2.0)
    run(scheduler, 2, 3.0, 3.0, 3.0, 3.0, 3.0)
    run(scheduler, 3, 2.0, 2.0, 2.5, 3.5, 4.0)  # worst in the end, ahead at first
    assert scheduler.debug_string() == (
        "Hindsight: 4 complete | 100: 5 | 200: 4 | 400: 3 | 800: 2.5"
    )
    assert run(scheduler, 4, 4.9, 3.9, 2.9, 2.4) == 800
    assert run(scheduler, 5, 5.1) == 100
    assert run(scheduler, 6, 2.0, 2.0, 3.1) == 400  # ahead where it tells nothing


def test_a_trial_as_good_as_the_bar_goes_on_and_one_without_a_number_does_not() -> None:
    scheduler = hindsight()
    for trial in range(4):
        run(scheduler, trial, *[3.0 + trial] * 5)
    assert run(scheduler, 4, 4.0, 4.0) == 200  # as the second best, at both
    assert run(scheduler, 5, math.nan) == 100


def test_a_trial_is_judged_by_its_best_and_not_its_last_value() -> None:
    scheduler = hindsight(best=1)
    run(scheduler, 0, 5.0, 4.0, 1.0, 2.0, 9.0)  # overfits from 400 on
    for trial in range(1, 4):
        run(scheduler, trial, 3.0, 3.0, 3.0, 3.0, 3.0)
    assert run(scheduler, 4, 5.0, 4.0) == 200
    assert run(scheduler, 5, 5.1) == 100


def test_nothing_is_stopped_while_fewer_are_complete_than_it_is_held_against() -> None:
    scheduler = hindsight(whole=0)
    assert run(scheduler, 0, 3.0, 3.0, 3.0, 3.0, 3.0) == 1600
    assert run(scheduler, 1, 9.0, 9.0, 9.0, 9.0, 9.0) == 1600
    assert "100: none" in scheduler.debug_string()  # two are not more than two
    assert run(scheduler, 2, 99.0, 99.0, 99.0, 99.0, 99.0) == 1600
    assert run(scheduler, 3, 99.5) == run(scheduler, 4, 9.5) == 100


@pytest.mark.parametrize(("spared", "whole"), [(None, []), (2, [5, 7]), (3, [6])])
def test_of_those_after_the_first_some_are_spared(spared: int | None, whole: list[int]) -> None:
    scheduler = hindsight(spared=spared)
    for trial in range(4):
        run(scheduler, trial, *[3.0] * 5)
    came = {trial: run(scheduler, trial, *[9.0] * 5) for trial in range(4, 9)}
    assert [trial for trial, tokens in came.items() if tokens == 1600] == whole


def test_larger_may_be_better() -> None:
    scheduler = hindsight(mode="max")
    for trial in range(4):
        run(scheduler, trial, *[3.0 + trial] * 5)
    assert run(scheduler, 4, 4.0) == 100
    assert run(scheduler, 5, 5.0, 5.0) == 200


@given(st.lists(st.lists(st.floats(0, 10), min_size=16, max_size=16), min_size=5, max_size=12))
def test_whoever_is_nowhere_behind_the_best_complete_trial_is_never_stopped(
    curves: list[list[float]],
) -> None:
    lead = [-1.0] * 16
    named = {"0": lead, **{str(1 + n): one for n, one in enumerate(curves)}, "last": lead}
    assert play(hindsight(whole=2), named)["last"] == 16
