"""Decisions of the freeze-thaw scheduler on curves of a single key, x; the best is at 0.7."""

from collections.abc import Callable
from itertools import count

import pytest
from optuna.distributions import FloatDistribution

from ugro.sampling.unit_cube import UnitCube
from ugro.schedulers.base import CONTINUE, PAUSE, Handle
from ugro.schedulers.freeze_thaw.freeze_thaw import FreezeThaw
from ugro.space.prior import beliefs_of

from ..curves import LENGTH, UNTRAINED, Controller, result

REPORTS = 8
GOLDEN = 0.6180339887  # its multiples spread evenly
Loss = Callable[[float, float], float]  # of x and the share of the run


def agreeing(x: float, share: float) -> float:
    return UNTRAINED - 10 * share**0.5 * (1 - (x - 0.7) ** 2)


def crossing(x: float, share: float) -> float:
    """Before a quarter of the run the worst are ahead."""
    return agreeing(1.4 - x if share < 0.2 else x, share) + (
        2 * (x - 0.7) ** 2 if share > 0.2 else 0
    )


class Study:
    """A study on simulated slots: trials report in turn.

    Attributes:
        reports: number of reports of each trial, in the order of their start
        trained_at_start: whole runs that were trained by the start of each trial
        log: each answer and start
    """

    def __init__(
        self,
        loss: Loss,
        mode: str = "min",
        grace_period: float = 0.0,
        trials: int = 100,
        near: float | None = None,
    ) -> None:
        self._sign = 1.0 if mode == "min" else -1.0
        self._loss = loss
        self.scheduler = FreezeThaw("tokens_seen", "progress", mode, LENGTH, grace_period)
        over = {"x": FloatDistribution(0.0, 1.0)}
        prior = {} if near is None else beliefs_of({"x": {"near": near, "deviation": 0.1}}, over)
        self.scheduler.on_study(UnitCube(over, prior), trials, 0)
        self.x: list[float] = []
        self.reports: list[int] = []
        self.trained_at_start: list[float] = []
        self.log: list[str] = []

    def start(self, x: float) -> int:
        """Start a trial."""
        number = len(self.x)
        self.x.append(x)
        self.reports.append(0)
        self.log.append(f"start {number}")
        self.trained_at_start.append(sum(self.reports) / REPORTS)
        self.scheduler.on_trial_add(Controller(), self.handle(number))
        return number

    def handle(self, number: int) -> Handle:
        return Handle(str(number), {"x": self.x[number]})

    def report(self, number: int, decided: str | None = None) -> str:
        """Let a trial report."""
        self.reports[number] += 1
        share = self.reports[number] / REPORTS
        now = result(LENGTH * share, self._sign * self._loss(self.x[number], share))
        now |= {"untrained": self._sign * UNTRAINED, "decided": decided}
        answer = self.scheduler.on_trial_result(Controller(), self.handle(number), now)
        self.log.append(f"{number} {answer}")
        return answer

    def run(self, trials: int, slots: int, reports: int = 10_000) -> None:
        """Run until no trial runs, or for a number of reports."""
        design = (number * GOLDEN % 1 for number in count(1))
        running: list[int] = []
        paused: set[int] = set()
        while reports > 0:
            while len(running) < slots:
                number = self._next(paused, trials, design, is_idle=not running)
                if number is None:
                    break
                running.append(number)
            if not running:
                return
            number = running.pop(0)
            answer = self.report(number)
            reports -= 1
            if self.reports[number] == REPORTS:
                self.scheduler.on_trial_remove(Controller(), self.handle(number))
            elif answer == PAUSE:
                paused.add(number)
            else:
                running.append(number)

    def _next(self, paused: set[int], trials: int, design, is_idle: bool) -> int | None:
        can_start = len(self.x) < trials
        handles = [self.handle(number) for number in sorted(paused)]
        chosen = self.scheduler.choose_paused(handles, can_start, is_idle) if paused else None
        if chosen is not None:
            paused.remove(int(chosen.trial_id))
            self.scheduler.on_trial_resume(chosen)
            return int(chosen.trial_id)
        if not can_start:
            return None
        proposed = self.scheduler.propose()
        return self.start(next(design) if proposed is None else proposed["x"])


def test_from_the_tenth_on_one_new_trial_in_five_is_at_a_random_point() -> None:
    study = Study(agreeing)
    study.run(trials=40, slots=4)
    explored = study.x[10::5]
    of_model = [x for number, x in enumerate(study.x) if number >= 10 and number % 5]
    assert sum(abs(x - 0.7) > 0.2 for x in explored) >= 2
    assert sum(abs(x - 0.7) < 0.1 for x in of_model) > 0.9 * len(of_model)


def test_one_trial_in_eight_is_never_paused() -> None:
    study = Study(agreeing)
    study.run(trials=20, slots=4)
    for spared in (0, 8, 16):
        assert f"{spared} {PAUSE}" not in study.log
        assert study.reports[spared] == REPORTS
    assert any(entry.endswith(PAUSE) for entry in study.log)


def test_no_trial_is_paused_before_the_grace_period() -> None:
    study = Study(agreeing, grace_period=LENGTH / 2)
    for number, x in enumerate((0.1, 0.9, 0.7, 0.3)):
        study.start(x)
        assert [study.report(number) for _ in range(3)] == [CONTINUE] * 3


def test_a_resumed_trial_is_paused_again_only_after_its_progress_has_doubled() -> None:
    study = Study(agreeing)
    study.run(trials=20, slots=4)
    worst = max(
        range(20), key=lambda number: abs(study.x[number] - 0.7) * (study.reports[number] < 3)
    )
    study.report(worst, decided=PAUSE)
    before = study.reports[worst]
    study.scheduler.on_trial_resume(study.handle(worst))
    assert [study.report(worst) for _ in range(before)] == [CONTINUE] * (before - 1) + [PAUSE]


@pytest.mark.parametrize("loss", [agreeing, crossing])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_most_reports_go_to_good_configurations_and_the_best_is_found(
    loss: Loss, mode: str
) -> None:
    study = Study(loss, mode)
    study.run(trials=30, slots=4, reports=120)
    complete = [x for x, reports in zip(study.x, study.reports, strict=True) if reports == REPORTS]
    assert min(abs(x - 0.7) for x in complete) < 0.05
    near = sum(n for x, n in zip(study.x, study.reports, strict=True) if abs(x - 0.7) < 0.2)
    assert near > 0.55 * sum(study.reports)


def test_when_no_new_trial_can_start_only_those_that_may_be_best_resume() -> None:
    study = Study(agreeing)
    study.run(trials=10, slots=2)
    ends = dict(zip(study.x, study.reports, strict=True))
    assert len(ends) == 10
    best = min(ends, key=lambda x: abs(x - 0.7))
    assert ends[best] == REPORTS
    unfinished = [x for x, reports in ends.items() if reports < REPORTS]
    assert unfinished
    assert min(abs(x - 0.7) for x in unfinished) > abs(best - 0.7)


@pytest.mark.parametrize("loss", [agreeing, crossing])
def test_few_trials_start_later_than_the_same_number_of_many(loss: Loss) -> None:
    """A configuration that is chosen later is chosen from longer curves."""
    few, many = Study(loss, trials=20), Study(loss, trials=10_000)
    for study in (few, many):
        study.run(trials=20, slots=8)
        assert len(study.x) == 20
    assert many.trained_at_start[9] < 1 < 3 < few.trained_at_start[9]
    complete = [x for x, n in zip(few.x, few.reports, strict=True) if n == REPORTS]
    assert min(abs(x - 0.7) for x in complete) < 0.05


def test_proposals_concentrate_where_the_model_expects_the_best_and_none_is_tried_twice() -> None:
    study = Study(agreeing)
    study.run(trials=24, slots=4)
    proposed = study.x[10:]
    assert sum(abs(x - 0.7) < 0.15 for x in proposed) > len(proposed) / 2
    assert len(set(study.x)) == 24


@pytest.mark.parametrize("near", [0.7, 0.1])
def test_a_prior_leads_to_its_optimum_and_a_wrong_one_is_overcome(near: float) -> None:
    study = Study(agreeing, near=near)
    study.run(trials=24, slots=4)
    complete = [x for x, reports in zip(study.x, study.reports, strict=True) if reports == REPORTS]
    assert min(abs(x - 0.7) for x in complete) < 0.05


def test_decisions_of_an_earlier_driver_are_taken_over() -> None:
    """The scheduler answers as it did then, also where it would decide otherwise now."""
    study = Study(agreeing)
    for x in (0.1, 0.9, 0.7):
        study.start(x)
    assert study.report(2, decided=PAUSE) == PAUSE
    assert study.report(0, decided=CONTINUE) == CONTINUE
    handles = [study.handle(2)]
    assert study.scheduler.choose_paused(handles, can_start=False, is_idle=True) == handles[0]


def test_a_diverged_trial_is_as_bad_as_a_doubled_loss() -> None:
    def diverging(x: float, share: float) -> float:
        return float("nan") if x < 0.3 else 1e9 if x > 0.95 else agreeing(x, share)

    study = Study(diverging)
    study.run(trials=16, slots=4)
    worst = [curve.changes[-1] for curve in study.scheduler._curves.values() if curve.changes]
    assert max(worst) == UNTRAINED
    complete = [x for x, reports in zip(study.x, study.reports, strict=True) if reports == REPORTS]
    assert min(abs(x - 0.7) for x in complete) < 0.1
