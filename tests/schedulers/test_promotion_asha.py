"""Promotions on scripted results; rungs at 100, 200, 400 and 800 of 1600 tokens."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ugro.schedulers.base import CONTINUE, PAUSE, Handle, PausingScheduler
from ugro.schedulers.promotion_asha import PromotionASHA

from .curves import LENGTH, Controller, result


def halving(mode: str = "min", factor: float = 2) -> PromotionASHA:
    return PromotionASHA("tokens_seen", "progress", mode, LENGTH, 100, factor)


def answer(scheduler: PromotionASHA, trial: str, tokens: float, loss: float) -> str:
    return scheduler.on_trial_result(Controller(), Handle(trial), result(tokens, loss))


def chosen(scheduler: PromotionASHA, *paused: str, ends: bool = False) -> str | None:
    """The trial that resumes in a free slot; ``ends``: none is running or can start."""
    handles = [Handle(trial) for trial in paused]
    trial = scheduler.choose_paused(handles, can_start=not ends, is_idle=ends)
    if trial is not None:
        scheduler.on_trial_resume(trial)
    return None if trial is None else trial.trial_id


def test_promotions_by_hand() -> None:
    scheduler = halving()
    assert isinstance(scheduler, PausingScheduler)
    assert answer(scheduler, "a", 50, 9.0) == CONTINUE  # below the first rung
    # 100: of one trial none is promoted.
    assert answer(scheduler, "a", 100, 5.0) == PAUSE
    assert chosen(scheduler, "a") is None  # a new trial starts
    # 100: one of two is promoted, the better one at once. 200: it is alone.
    assert answer(scheduler, "b", 100, 4.0) == CONTINUE
    assert answer(scheduler, "b", 200, 3.5) == PAUSE
    assert chosen(scheduler, "a", "b") is None  # a is behind b, which has passed its rung
    # 100: one of three, b.
    assert answer(scheduler, "c", 100, 4.5) == PAUSE
    assert chosen(scheduler, "a", "b", "c") is None
    # 100: two of four, b and c; c was paused among fewer trials and is promoted now.
    assert answer(scheduler, "d", 100, 6.0) == PAUSE
    assert chosen(scheduler, "a", "b", "c", "d") == "c"
    # 200: one of two, b. It goes before c, which is behind.
    assert answer(scheduler, "c", 200, 3.6) == PAUSE
    assert chosen(scheduler, "a", "b", "c", "d") == "b"
    assert answer(scheduler, "b", 400, 3.0) == PAUSE
    assert chosen(scheduler, "a", "b", "c", "d") is None


def test_the_highest_rung_is_promoted_first_and_there_the_best() -> None:
    scheduler = halving()
    for trial, loss in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)):
        assert answer(scheduler, trial, 50, loss) == CONTINUE
        assert answer(scheduler, trial, 200, loss) == PAUSE
    for trial, loss in (("e", 0.5), ("f", 0.4), ("g", 0.3), ("h", 9.0)):
        answer(scheduler, trial, 100, loss)
    # 200: two of four, a and b. 100: four of eight, e, f, g and a, which has passed it.
    paused = set("abcdefgh")
    order = []
    while (trial := chosen(scheduler, *sorted(paused))) is not None:
        order.append(trial)
        paused.remove(trial)
    assert order == ["a", "b", "g", "f", "e"]


def test_a_maximised_metric_is_compared_in_its_direction() -> None:
    scheduler = halving("max")
    assert answer(scheduler, "a", 100, 0.9) == PAUSE
    assert answer(scheduler, "b", 100, 0.8) == PAUSE
    assert chosen(scheduler, "a", "b") == "a"


def test_a_trial_of_another_driver_is_not_chosen() -> None:
    scheduler = halving()
    for trial, loss in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)):
        answer(scheduler, trial, 100, loss)
    assert chosen(scheduler, "b", "c", "d") == "b"  # two of four: a and b
    assert chosen(scheduler, "c", "d") is None


def test_nan_is_recorded_and_never_promoted() -> None:
    scheduler = halving()
    assert answer(scheduler, "nan", 100, math.nan) == PAUSE
    assert chosen(scheduler, "nan", ends=True) is None
    assert answer(scheduler, "a", 100, 9.0) == CONTINUE  # one of two


def test_at_the_end_at_least_the_best_of_each_rung_is_promoted() -> None:
    scheduler = halving(factor=4)
    for trial, loss in (("a", 3.0), ("b", 2.0), ("c", 4.0)):  # none of three
        assert answer(scheduler, trial, 100, loss) == PAUSE
    assert chosen(scheduler, "a", "b", "c") is None
    handles = [Handle(trial) for trial in "abc"]
    assert scheduler.choose_paused(handles, can_start=False, is_idle=False) is None
    assert chosen(scheduler, "a", "b", "c", ends=True) == "b"
    assert answer(scheduler, "b", 400, 1.9) == PAUSE  # rungs at 100 and 400
    assert chosen(scheduler, "a", "b", "c", ends=True) == "b"
    assert chosen(scheduler, "a", "c", ends=True) is None


@dataclass
class Played:
    """Trials on several slots; each free slot gets a promoted trial, or else a new one.

    Attributes:
        rungs: losses by trial at each rung, in the order in which they were reported
        promotions: rung, trial and number of trials at the rung at that time
        ended: trials that came to their end
    """

    curves: Sequence[Sequence[float]]
    factor: int
    rungs: list[dict[str, float]] = field(default_factory=lambda: [{} for _ in range(4)])
    promotions: list[tuple[int, str, dict[str, float]]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    forced: list[tuple[int, str]] = field(default_factory=list)

    def run(self, slots: int, order: Sequence[int]) -> None:
        """Run all trials; ``order`` says which of the running trials reports next."""
        scheduler = halving(factor=self.factor)
        at: dict[str, int] = {}
        fresh = iter(range(len(self.curves)))
        running: list[str] = []
        paused: set[str] = set()
        turns = iter(order)
        levels = [100.0 * self.factor**k for k in range(9) if 100 * self.factor**k < LENGTH]
        while True:
            while len(running) < slots:
                trial = self._next(scheduler, running, paused, fresh, at)
                if trial is None:
                    break
                running.append(trial)
            if not running:
                return
            trial = running[next(turns, 0) % len(running)]
            rung = at[trial]
            if rung == len(levels):
                self.ended.append(trial)
                running.remove(trial)
                scheduler.on_trial_remove(Controller(), Handle(trial))
                continue
            loss = self.curves[int(trial)][rung]
            self.rungs[rung][trial] = loss
            at[trial] += 1
            said = answer(scheduler, trial, levels[rung], loss)
            if said == CONTINUE:
                self.promotions.append((rung, trial, dict(self.rungs[rung])))
            else:
                running.remove(trial)
                paused.add(trial)

    def _next(
        self,
        scheduler: PromotionASHA,
        running: list[str],
        paused: set[str],
        fresh: Iterator[int],
        at: dict[str, int],
    ) -> str | None:
        trial = chosen(scheduler, *sorted(paused))
        if trial is not None:
            self.promotions.append((at[trial] - 1, trial, dict(self.rungs[at[trial] - 1])))
        elif (number := next(fresh, None)) is not None:
            at[str(number)] = 0
            return str(number)
        elif not running and (trial := chosen(scheduler, *sorted(paused), ends=True)) is not None:
            self.forced.append((at[trial] - 1, trial))
        if trial is not None:
            paused.remove(trial)
        return trial


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    curves=st.lists(
        st.lists(st.integers(0, 9).map(float), min_size=4, max_size=4), min_size=1, max_size=24
    ),
    factor=st.sampled_from([2, 3, 4]),
    slots=st.integers(1, 6),
    order=st.lists(st.integers(0, 5), max_size=150),
)
def test_a_trial_is_promoted_once_from_a_rung_and_only_from_its_best_share(
    curves: list[list[float]], factor: int, slots: int, order: list[int]
) -> None:
    played = Played(curves, factor)
    played.run(slots, order)
    made = [(rung, trial) for rung, trial, _ in played.promotions] + played.forced
    assert len(made) == len(set(made))
    for rung, trial, recorded in played.promotions:
        better = sum(loss < recorded[trial] for loss in recorded.values())
        assert better < len(recorded) // factor, (rung, trial)
    assert played.ended  # at least one trial comes to its end
    assert len(played.rungs[0]) == len(curves)
