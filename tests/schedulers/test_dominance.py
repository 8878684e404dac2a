import math

from ugro.schedulers.base import CONTINUE, STOP, Handle
from ugro.schedulers.dominance import DominanceScheduler, fronts

from .curves import Controller, result


def at_rung(factor: float, *values: tuple[float, ...]) -> list[str]:
    """Decisions for trials that reach the same rung one after another."""
    scheduler = DominanceScheduler("tokens_seen", 1600, 100, factor)
    return [
        scheduler.on_trial_result(
            Controller(), Handle(str(trial)), result(100, one[0], None, *one[1:])
        )
        for trial, one in enumerate(values)
    ]


def test_a_trial_dominated_by_enough_others_stops() -> None:
    # The third is dominated by the first alone: 1 of 3, and half of 3 is 1.5. The fourth by three.
    assert at_rung(2, (1.0, 5.0), (5.0, 1.0), (2.0, 6.0), (9.0, 9.0)) == [
        CONTINUE,
        CONTINUE,
        STOP if 2 >= 1.5 else CONTINUE,  # both of the first front are better than the second front
        STOP,
    ]


def test_non_dominated_trials_always_continue() -> None:
    trade_off = [(float(i), float(9 - i)) for i in range(10)]
    assert at_rung(4, *trade_off) == [CONTINUE] * 10


def test_with_one_objective_the_best_share_continues() -> None:
    # 3: first. 4: one of two is better, which fills half of two. 2: none is better.
    # 2.5: one of four (2) is better than it, half of four is two. 5: all are better.
    assert at_rung(2, (3.0,), (4.0,), (2.0,), (2.5,), (5.0,)) == [
        CONTINUE,
        STOP,
        CONTINUE,
        CONTINUE,
        STOP,
    ]


def test_fronts_by_hand() -> None:
    assert fronts([(1.0, 4.0), (2.0, 5.0), (4.0, 1.0), (5.0, 5.0), (3.0, 3.0)]) == [0, 1, 0, 2, 0]


def test_nan_is_on_the_worst_front() -> None:
    assert fronts([(1.0, 1.0), (math.nan, 5.0), (2.0, 2.0)]) == [0, 2, 1]
