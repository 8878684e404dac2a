"""Rungs at 100, 200, 400 and 800 of 1600 tokens."""

from collections.abc import Sequence

import pytest

from ugro.schedulers.adaptive_asha import AdaptiveASHA
from ugro.schedulers.protocol import CONTINUE, STOP, Handle

from .curves import Controller, result


def adaptive(mode: str = "min", min_pairs: int = 4) -> AdaptiveASHA:
    return AdaptiveASHA("tokens_seen", "progress", mode, 1600, 100, 2, 0.5, min_pairs)


def told(
    scheduler: AdaptiveASHA, trial: int, losses: Sequence[float], loading: float = 0.0
) -> list[str]:
    """A trial's answers at 100, 200, 400 and 800 tokens; it goes on whatever it is told."""
    handle = Handle(str(trial))
    scheduler.on_trial_add(Controller(), handle)
    answers = []
    for tokens, loss in zip((100, 200, 400, 800), losses, strict=False):
        elapsed = loading + tokens
        answers.append(
            scheduler.on_trial_result(Controller(), handle, result(tokens, loss, elapsed))
        )
    return answers


def test_while_nothing_is_known_it_is_the_middle_rung() -> None:
    scheduler = adaptive()
    assert scheduler.grace_period_now == 400
    told(scheduler, 0, [3.0, 3.0])
    assert scheduler.grace_period_now == 400
    # At 100 it is behind, which stops nobody before 400; there nobody was before it.
    assert told(scheduler, 1, [9.0, 9.0, 9.0]) == [CONTINUE] * 3
    assert told(scheduler, 2, [9.5, 9.5, 9.5]) == [CONTINUE, CONTINUE, STOP]


def test_once_early_ranks_hold_it_becomes_the_first_rung() -> None:
    scheduler = adaptive()
    for trial in range(4):
        told(scheduler, trial, [3.0 + trial] * 4)
    # tau is 1 at 100, 200 and 400; most is saved at 100: 1 - 100/1600.
    assert scheduler.grace_period_now == 100
    assert told(scheduler, 9, [9.0]) == [STOP]
    assert told(scheduler, 10, [1.0]) == [CONTINUE]
    assert "100: 6 trials, tau 1.00" in scheduler.debug_string()


def test_while_early_ranks_mislead_it_becomes_longer() -> None:
    scheduler = adaptive()
    for trial in range(4):  # who is first up to 200 is last from 400 on
        told(scheduler, trial, [3.0 + trial, 3.0 + trial, 3.0 - trial, 3.0 - trial])
    # tau with 800: 0 at 100 and 200 (from -1), 1 at 400.
    assert scheduler.grace_period_now == 400
    assert told(scheduler, 9, [9.0, 9.0])[:2] == [CONTINUE, CONTINUE]


def test_if_no_rank_holds_only_the_last_rung_stops() -> None:
    scheduler = adaptive()
    for trial in range(4):
        turn = [3.0 + trial, 3.0 - trial, 3.0 + trial, 3.0 - trial]
        told(scheduler, trial, [turn[0], turn[0], turn[0], turn[1]])
    assert scheduler.grace_period_now == 800


def test_a_rung_that_predicts_better_is_weighed_against_what_is_saved_before_it() -> None:
    # With 800 tokens: tau 2/3 at 100 and 200 (one of six pairs is the wrong way round), 1 at 400.
    # 2/3 * (1 - 100/1600) = 0.625 and 2/3 * (1 - 200/1600) = 0.58; 1 * (1 - 400/1600) = 0.75.
    scheduler = adaptive()
    early, late = [1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 3.0, 4.0]
    for trial in range(4):
        told(scheduler, trial, [early[trial], early[trial], late[trial], late[trial]])
    assert scheduler.grace_period_now == 400


def test_where_loading_is_most_of_a_trial_it_is_longer() -> None:
    """The same curves, of which an early stop saves less: 2/3 of little against 1 of less."""
    early, late = [1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 3.0, 4.0]
    losses = [[early[t], early[t], early[t], late[t]] for t in range(4)]
    quick, slow = adaptive(), adaptive()
    for trial in range(4):
        told(quick, trial, losses[trial])
        told(slow, trial, losses[trial], loading=100_000.0)
    # All have 2/3; the earliest saves most, however little that is.
    assert quick.grace_period_now == slow.grace_period_now == 100
    assert quick._saved(0) == pytest.approx(1 - 100 / 1600)
    assert slow._saved(0) == pytest.approx(1500 / 101_600)


def test_more_can_be_better() -> None:
    scheduler = adaptive("max")
    for trial in range(4):
        told(scheduler, trial, [3.0 + trial] * 4)
    assert scheduler.grace_period_now == 100
    assert told(scheduler, 9, [1.0]) == [STOP]
    assert told(scheduler, 10, [9.0]) == [CONTINUE]


def test_a_trial_too_short_for_rungs_is_never_stopped() -> None:
    short = AdaptiveASHA("tokens_seen", "progress", "min", 1600, 1600, 2, 0.5, 4)
    assert short.grace_period_now == 1600
    assert told(short, 0, [3.0] * 4) == [CONTINUE] * 4
