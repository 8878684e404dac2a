"""Rungs at 100, 200, 400 and 800 of 1600 tokens."""

import math
from collections.abc import Sequence

import pytest

from ugro.schedulers.adaptive_asha import AdaptiveASHA
from ugro.schedulers.base import CONTINUE, STOP, Handle

from .curves import Controller, play, result


def adaptive(mode: str = "min", min_pairs: int = 4) -> AdaptiveASHA:
    return AdaptiveASHA("tokens_seen", "progress", mode, 1600, 100, 2, 0.5, min_pairs)


def play_trial(
    scheduler: AdaptiveASHA, trial: int, losses: Sequence[float], loading: float = 0.0
) -> list[str]:
    """Return decisions for a trial at 100, 200, 400 and 800 tokens, which continues regardless."""
    handle = Handle(str(trial))
    scheduler.on_trial_add(Controller(), handle)
    answers = []
    for tokens, loss in zip((100, 200, 400, 800), losses, strict=False):
        elapsed = loading + tokens
        answers.append(
            scheduler.on_trial_result(Controller(), handle, result(tokens, loss, elapsed))
        )
    return answers


def test_without_estimates_the_grace_period_is_the_middle_rung() -> None:
    scheduler = adaptive()
    assert scheduler.grace_period_now == 400
    play_trial(scheduler, 0, [3.0, 3.0])
    assert scheduler.grace_period_now == 400
    # At 100 it is behind, but no trial stops before 400, where it is the first.
    assert play_trial(scheduler, 1, [9.0, 9.0, 9.0]) == [CONTINUE] * 3
    assert play_trial(scheduler, 2, [9.5, 9.5, 9.5]) == [CONTINUE, CONTINUE, STOP]


def test_with_stable_early_ranks_it_becomes_the_first_rung() -> None:
    scheduler = adaptive()
    for trial in range(4):
        play_trial(scheduler, trial, [3.0 + trial] * 4)
    # tau is 1 at 100, 200 and 400; a trial pays for most others at 100.
    assert scheduler.grace_period_now == 100
    assert play_trial(scheduler, 9, [9.0]) == [STOP]
    assert play_trial(scheduler, 10, [1.0]) == [CONTINUE]
    assert "100: 6 trials, tau 1.00" in scheduler.debug_string()


def test_with_misleading_early_ranks_it_becomes_longer() -> None:
    scheduler = adaptive()
    for trial in range(4):  # who is first up to 200 is last from 400 on
        play_trial(scheduler, trial, [3.0 + trial, 3.0 + trial, 3.0 - trial, 3.0 - trial])
    # tau with 800: 0 at 100 and 200 (from -1), 1 at 400.
    assert scheduler.grace_period_now == 400
    assert play_trial(scheduler, 9, [9.0, 9.0])[:2] == [CONTINUE, CONTINUE]


def test_with_unstable_ranks_only_the_last_rung_stops() -> None:
    scheduler = adaptive()
    for trial in range(4):
        turn = [3.0 + trial, 3.0 - trial, 3.0 + trial, 3.0 - trial]
        play_trial(scheduler, trial, [turn[0], turn[0], turn[0], turn[1]])
    assert scheduler.grace_period_now == 800


def test_precision_is_weighed_against_economy() -> None:
    # With 800 tokens: tau 2/3 at 100 and 200 (one of six pairs is the wrong way round), 1 at 400.
    # A trial pays for 1 / (1/2 + 1/2 * level/1600): 1.88 at 100, 1.78 at 200, 1.6 at 400.
    # 2/3 * 1.88 = 1.25 and 2/3 * 1.78 = 1.19; 1 * 1.6 = 1.6.
    scheduler = adaptive()
    early, late = [1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 3.0, 4.0]
    for trial in range(4):
        play_trial(scheduler, trial, [early[trial], early[trial], late[trial], late[trial]])
    assert scheduler.grace_period_now == 400


@pytest.mark.parametrize(("loading", "expected"), [(0.0, 100), (100_000.0, 400)])
def test_it_is_longer_if_loading_dominates(loading: float, expected: float) -> None:
    # One pair of fifteen is the wrong way round at 100 and 200: tau 13/15; at 400 none is.
    # A trial's seconds pay for 1 / (1/2 + 1/2 * share passed): 1.88 at 100, 1.6 at 400.
    # 13/15 * 1.88 = 1.63 against 1.6. With loading 1.0074 and 1.0059: 0.87 against 1.006.
    scheduler = adaptive()
    for trial, early in enumerate([1.0, 0.0, 2.0, 3.0, 4.0, 5.0]):
        play_trial(scheduler, trial, [early, early, float(trial), float(trial)], loading)
    assert scheduler.grace_period_now == expected


def test_the_best_concurrent_trial_survives_misleading_early_ranks() -> None:
    # Trial 11 is last up to 300 tokens and first from 400 on.
    curves = {str(t): [3.0 + t] * 3 + [3.0 - t / 10] * 13 for t in range(12)}
    assert play(adaptive(), curves)["11"] == 16


def test_nan_is_ignored_in_estimates() -> None:
    scheduler = adaptive()
    for trial in range(4):
        play_trial(scheduler, trial, [3.0 + trial] * 4)
    play_trial(scheduler, 9, [math.nan] * 4)
    assert scheduler.grace_period_now == 100


def test_estimates_compare_rungs_with_the_end() -> None:
    # Rungs at 100 and 400; they agree with each other, and with the end the wrong way round.
    scheduler = AdaptiveASHA("tokens_seen", "progress", "min", 1600, 100, 4, 0.5, 4)
    for trial in range(4):
        for tokens, loss in ((100, trial), (400, trial), (1600, -trial)):
            now = result(tokens, float(loss))
            scheduler.on_trial_result(Controller(), Handle(str(trial)), now)
    assert scheduler.grace_period_now == 400  # none is trusted


def test_a_metric_can_be_maximised() -> None:
    scheduler = adaptive("max")
    for trial in range(4):
        play_trial(scheduler, trial, [3.0 + trial] * 4)
    assert scheduler.grace_period_now == 100
    assert play_trial(scheduler, 9, [1.0]) == [STOP]
    assert play_trial(scheduler, 10, [9.0]) == [CONTINUE]


def test_a_trial_too_short_for_rungs_is_never_stopped() -> None:
    short = AdaptiveASHA("tokens_seen", "progress", "min", 1600, 1600, 2, 0.5, 4)
    assert short.grace_period_now == 1600
    assert play_trial(short, 0, [3.0] * 4) == [CONTINUE] * 4
