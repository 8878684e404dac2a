"""Decisions on scripted curves, worked out by hand."""

import math
from collections.abc import Callable

import numpy
import pytest
from omegaconf import DictConfig

from ugro.config import typed
from ugro.errors import UserError
from ugro.events.events import TrialReported, TrialResumed
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.objectives.objectives import objectives_of
from ugro.sampling.unit_cube import UnitCube
from ugro.schedulers.early_stopping import EarlyStopping

from .curves import LENGTH, report

Make = Callable[..., EarlyStopping]
SCHEDULERS = (
    "none", "asha", "hyperband", "median", "adaptive_asha", "promotion_asha", "dominance",
    "freeze_thaw",
)  # fmt: skip
HALVING = ("scheduler=asha", "scheduler.grace_period=200", "scheduler.reduction_factor=2")


@pytest.fixture
def make(composed: Callable[..., DictConfig]) -> Make:
    """``make("scheduler=asha", ...)``: early stopping as configured."""

    def _make(*overrides: str) -> EarlyStopping:
        config = composed("study.name=s", *overrides)
        settings = typed(config)
        objectives = objectives_of(settings.objectives)
        return EarlyStopping(
            config.scheduler, settings.stoppers, objectives, UnitCube({}), 100, settings.seed
        )

    return _make


def judge(early_stopping: EarlyStopping, number: int, *reports: Report) -> list[Outcome | None]:
    """Decisions for a trial, up to the first stop."""
    decisions: list[Outcome | None] = []
    for one in reports:
        decisions.append(early_stopping.judge(number, one, one.seconds))
        if decisions[-1] is not None:
            break
    early_stopping.remove(number)
    return decisions


def curve(*losses: float) -> list[Report]:
    """The untrained model, then reports at 200, 400, 800 and 1,600 of 1,600 tokens."""
    return [report(0, 9.0)] + [
        report(tokens, loss) for tokens, loss in zip((200, 400, 800, 1600), losses, strict=False)
    ]


def test_asha_by_hand(make: Make) -> None:
    """Rungs at 200, 400, 800 (and 1,600, the end); at each the better half goes on.

    A loss is compared with the median of those recorded before it at the rung.
    """
    early_stopping = make(*HALVING)
    # The first trial finds empty rungs.
    assert judge(early_stopping, 0, *curve(5.0, 4.0, 3.0, 2.5)) == [None] * 5
    # 200: 4.0 against 5.0, goes on. 400: 4.5 against 4.0, stops.
    assert judge(early_stopping, 1, *curve(4.0, 4.5)) == [None, None, Outcome.RUNG]
    # 200: the median of 5.0 and 4.0 is 4.5; 4.6 is behind it.
    assert judge(early_stopping, 2, *curve(4.6)) == [None, Outcome.RUNG]
    # 200: 4.55 against the median of 5.0, 4.0 and 4.6, which is 4.6: goes on.
    # 400: 4.2 against the median of 4.0 and 4.5, which is 4.25: goes on. 800: 3.5 against 3.0.
    assert judge(early_stopping, 3, *curve(4.55, 4.2, 3.5)) == [None, None, None, Outcome.RUNG]
    # The best all the way. At its end a trial is finished, not stopped.
    assert judge(early_stopping, 4, *curve(3.0, 2.8, 2.6, 9.0)) == [None] * 5


def test_concurrent_trials_are_judged_in_the_order_of_reports(make: Make) -> None:
    early_stopping = make(*HALVING)
    for number in (0, 1):
        early_stopping.judge(number, report(0, 9.0), 0.0)
    assert early_stopping.judge(1, report(200, 5.0), 2.0) is None  # the first at the rung
    assert early_stopping.judge(0, report(200, 6.0), 2.0) is Outcome.RUNG
    assert early_stopping.judge(1, report(400, 5.0), 4.0) is None


def test_repeated_reports_of_a_resumed_trial_get_the_same_decision(make: Make) -> None:
    """Rungs at 200, 400, 800; without estimates trials stop only from the middle rung on."""
    early_stopping = make("scheduler=adaptive_asha", *HALVING[1:])
    first = curve(5.0, 4.0, 3.9)
    for one in first[:3]:
        assert early_stopping.judge(0, one, one.seconds) is None  # alone at the rungs
    assert judge(early_stopping, 1, *curve(4.5, 3.5)) == [None] * 3
    # Its worker is lost before its first checkpoint: at 400 it would be behind by now.
    assert [early_stopping.judge(0, one, one.seconds) for one in first] == [None] * 4
    assert judge(early_stopping, 2, *curve(4.4, 4.1)) == [None, None, Outcome.RUNG]  # behind both


def test_the_median_rule_receives_each_report_once(make: Make) -> None:
    """From 400 on a trial's best is compared with the median of three others' running means."""
    early_stopping = make("scheduler=median", "scheduler.grace_period=400")
    for number in (0, 1, 2):
        for one in (report(400, 4.0), report(400, 4.0), report(400, 4.0), report(800, 8.0)):
            assert early_stopping.judge(number, one, one.seconds) is None
    # The means at 800 are (4 + 8) / 2; had 4 counted three times they would be 5.
    assert early_stopping.judge(3, report(800, 5.5), 8.0) is None
    assert early_stopping.judge(4, report(800, 6.5), 8.0) is Outcome.RUNG


@pytest.mark.parametrize("scheduler", ["asha", "dominance"])
def test_a_stopped_trial_that_resumes_has_to_stop_again(scheduler: str, make: Make) -> None:
    early_stopping = make(f"scheduler={scheduler}", *HALVING[1:])
    assert judge(early_stopping, 0, *curve(4.0, 4.0)) == [None] * 3
    decisions = [early_stopping.judge(1, one, one.seconds) for one in curve(5.0)]
    assert decisions == [None, Outcome.RUNG]
    # Its worker is lost before it has ended; it goes on after that report, or begins anew.
    assert early_stopping.judge(1, report(400, 1.0), 1.0) is Outcome.RUNG
    assert [early_stopping.judge(1, one, one.seconds) for one in curve(5.0)] == decisions


# A study that goes on


def logged(number: int, stop: Outcome | None, *reports: Report) -> list[TrialReported]:
    """Log entries of a trial whose last report got this decision."""
    continued = [TrialReported(number, one, None) for one in reports[:-1]]
    return [*continued, TrialReported(number, reports[-1], stop)]


def test_stop_decisions_remain_when_the_study_resumes(make: Make) -> None:
    log = [
        *logged(0, None, *curve(5.0, 4.0, 3.0, 2.5)),
        *logged(1, Outcome.RUNG, *curve(5.1)),
        *logged(2, Outcome.TIMED_OUT, *curve(4.0)),  # by a clock that restarted
        *logged(3, Outcome.STUDY_LIMIT, *curve(4.0)),  # a limit that may have changed
        *logged(4, None, *curve(9.0)),  # regardless of the rungs now
    ]
    early_stopping = make(*HALVING, "stoppers.max_seconds=60")
    early_stopping.remember(log, unfinished={1, 2, 3, 4})
    # Trials go on after the checkpoint at their last report.
    later = report(400, 1.0)
    assert [early_stopping.judge(number, later, 4.0) for number in (1, 2, 3, 4)] == [
        Outcome.RUNG,
        Outcome.TIMED_OUT,
        None,
        None,
    ]
    assert early_stopping.judge(4, curve(9.0)[-1], 2.0) is None


def test_rungs_are_restored_when_the_study_resumes(make: Make) -> None:
    early_stopping = make(*HALVING)
    early_stopping.remember(logged(0, None, *curve(5.0, 4.0, 3.0, 2.5)), unfinished=set())
    assert judge(early_stopping, 1, *curve(4.0, 4.5)) == [None, None, Outcome.RUNG]


# A scheduler that pauses trials

PROMOTION = ("scheduler=promotion_asha", *HALVING[1:])


def test_a_paused_trial_is_chosen_when_it_is_good_enough_and_not_paused_there_again(
    make: Make,
) -> None:
    early_stopping = make(*PROMOTION)
    assert early_stopping.choose_paused([], can_start=True, is_idle=True) is None
    base, first, second, third, last = curve(5.0, 4.0, 3.0, 2.5)
    assert [early_stopping.judge(0, one, 1.0) for one in (base, first)] == [None, Outcome.PAUSED]
    assert early_stopping.is_paused(0)
    assert early_stopping.choose_paused([0], can_start=True, is_idle=True) is None
    assert early_stopping.judge(1, curve(6.0)[1], 1.0) is Outcome.PAUSED
    assert early_stopping.choose_paused([0, 1], can_start=True, is_idle=True) == 0
    early_stopping.resume(0)
    assert not early_stopping.is_paused(0)
    # Its last checkpoint was lost: it repeats the report that had paused it.
    assert early_stopping.judge(0, first, 1.0) is None
    assert early_stopping.judge(0, second, 2.0) is Outcome.PAUSED
    early_stopping.resume(0)
    assert early_stopping.judge(0, third, 3.0) is Outcome.PAUSED
    early_stopping.resume(0)
    assert early_stopping.judge(0, last, 4.0) is None


def test_a_trial_is_not_paused_at_its_last_report(make: Make) -> None:
    early_stopping = make(*PROMOTION, "scheduler.max_t=3200")  # a rung at 1600, a trial's length
    assert early_stopping.judge(0, report(200, 5.0), 2.0) is Outcome.PAUSED
    assert early_stopping.judge(0, report(LENGTH, 4.0), 16.0) is None


def test_a_trial_that_cannot_be_paused_continues_to_the_next_rung(make: Make) -> None:
    early_stopping = make(*PROMOTION)
    decisions = [early_stopping.judge(0, one, 1.0) for one in (*curve(5.0), report(300, 4.5))]
    assert decisions == [None, Outcome.PAUSED, None]
    assert not early_stopping.is_paused(0)
    assert early_stopping.judge(0, report(400, 4.0), 1.0) is Outcome.PAUSED


def test_pauses_and_promotions_remain_when_the_study_resumes(make: Make) -> None:
    log = [
        *logged(0, Outcome.PAUSED, *curve(5.0)),
        *logged(1, Outcome.PAUSED, *curve(6.0)),
        TrialResumed(0),  # its driver died before the next report
        *logged(2, Outcome.PAUSED, *curve(7.0)),
    ]
    early_stopping = make(*PROMOTION)
    early_stopping.remember(log, unfinished={0, 1, 2})
    assert [early_stopping.is_paused(number) for number in (0, 1, 2)] == [False, True, True]
    assert early_stopping.judge(0, curve(5.0)[-1], 2.0) is None  # not paused there again
    # 200: two of four trials are promoted, 0 and 1.
    assert early_stopping.judge(3, curve(6.5)[-1], 2.0) is Outcome.PAUSED
    assert early_stopping.choose_paused([1, 2, 3], can_start=True, is_idle=False) == 1


def test_a_scheduler_without_pauses_lets_paused_trials_run_on(make: Make) -> None:
    early_stopping = make("scheduler=none")
    early_stopping.remember(logged(0, Outcome.PAUSED, *curve(5.0)), unfinished={0})
    assert not early_stopping.is_paused(0)
    assert [early_stopping.judge(0, one, 1.0) for one in curve(5.0, 4.0)] == [None] * 3


def test_ray_tunes_schedulers_pause_no_trial(make: Make) -> None:
    # With hard_stop=false Tune's median rule answers PAUSE where it would answer STOP.
    soft = make("scheduler=median", "scheduler.grace_period=400", "scheduler.hard_stop=false")
    for number in range(3):
        soft.judge(number, report(800, 4.0), 8.0)
    assert soft.judge(3, report(800, 9.0), 8.0) is None
    assert soft.choose_paused([3], can_start=False, is_idle=True) is None


def test_the_untrained_model_is_not_compared(make: Make) -> None:
    early_stopping = make(*HALVING)
    assert judge(early_stopping, 0, *curve(5.0)) == [None, None]
    assert judge(early_stopping, 1, report(0, 99.0)) == [None]


def test_trials_are_compared_at_equal_tokens(make: Make) -> None:
    """With eight times the tokens per step, one step equals eight of the other trial."""
    early_stopping = make(
        "scheduler=asha", "scheduler.grace_period=800", "scheduler.reduction_factor=2"
    )
    small = [Report(step, 16, step * 100, 1600, step, {"eval_loss": 5.0}, 0.0) for step in (1, 8)]
    large = [Report(step, 2, step * 800, 1600, step, {"eval_loss": 6.0}, 0.0) for step in (1,)]
    assert judge(early_stopping, 0, report(0, 9.0), *small) == [None, None, None]
    assert judge(early_stopping, 1, report(0, 9.0), *large) == [None, Outcome.RUNG]
    by_step = make(
        "scheduler=asha",
        "scheduler.time_attr=step",
        "scheduler.grace_period=8",
        "scheduler.reduction_factor=2",
    )
    assert judge(by_step, 0, report(0, 9.0), *small) == [None, None, None]
    assert judge(by_step, 1, report(0, 9.0), *large) == [None, None]  # one step: no rung yet


def test_a_trial_at_max_t_is_finished_not_stopped(make: Make) -> None:
    early_stopping = make(*HALVING, "scheduler.max_t=800", "scheduler.stop_last_trials=true")
    assert judge(early_stopping, 0, *curve(5.0, 4.0, 3.0)) == [None] * 4
    assert early_stopping.judge(1, report(800, 1.0), 8.0) is None


def test_stoppers_work_with_any_scheduler(make: Make) -> None:
    for scheduler in SCHEDULERS:
        early_stopping = make(f"scheduler={scheduler}", "stoppers.max_tokens=200")
        assert judge(early_stopping, 0, *curve(5.0, 4.0)) == [None, Outcome.BUDGET]
        assert judge(early_stopping, 1, *curve(math.nan)) == [None, Outcome.DIVERGED]
        assert judge(early_stopping, 2, *curve(18.1)) == [None, Outcome.DIVERGED]


def test_a_trial_that_diverges_in_its_last_report_has_diverged(make: Make) -> None:
    early_stopping = make("scheduler=none")
    assert judge(early_stopping, 0, report(0, 9.0), report(LENGTH, math.nan)) == [
        None,
        Outcome.DIVERGED,
    ]
    assert judge(early_stopping, 1, report(0, 9.0), report(LENGTH, 3.0)) == [None, None]


def test_a_grace_period_below_one_is_a_share_of_a_trial(make: Make) -> None:
    early_stopping = make(
        "scheduler=asha", "scheduler.grace_period=0.25", "scheduler.reduction_factor=2"
    )
    assert judge(early_stopping, 0, *curve(5.0, 5.0)) == [None] * 3
    assert judge(early_stopping, 1, *curve(6.0, 6.0)) == [None, None, Outcome.RUNG]  # 400 of 1,600


def test_brackets_are_drawn_from_the_studys_seed_and_leave_numpys_generator_alone(
    make: Make,
) -> None:
    def decisions(*overrides: str) -> list[list[Outcome | None]]:
        early_stopping = make("scheduler=hyperband", "scheduler.reduction_factor=2", *overrides)
        return [judge(early_stopping, n, *curve(*[5.0 + n] * 4)) for n in range(24)]

    numpy.random.seed(0)
    before = numpy.random.rand()
    numpy.random.seed(0)
    first = decisions()
    assert numpy.random.rand() == before
    numpy.random.seed(7)
    assert decisions() == first
    assert decisions("seed=1") != first
    stopped_at = {len(one) for one in first[1:]}
    assert len(stopped_at) > 1  # brackets differ in their first rung


def test_several_objectives_are_compared_by_dominance_at_equal_tokens(make: Make) -> None:
    pareto = ("objectives=loss_memory", "objectives.mode=pareto", "scheduler=dominance")
    early_stopping = make(*pareto, "scheduler.grace_period=200", "scheduler.reduction_factor=2")
    base = report(0, 9.0, peak_memory_mb=1.0)
    assert judge(early_stopping, 0, base, report(200, 5.0, peak_memory_mb=900.0)) == [None, None]
    assert judge(early_stopping, 1, base, report(200, 6.0, peak_memory_mb=500.0)) == [None, None]
    assert judge(early_stopping, 2, base, report(200, 6.5, peak_memory_mb=950.0)) == [
        None,
        Outcome.RUNG,
    ]


def test_several_objectives_are_compared_by_their_scalarised_value(make: Make) -> None:
    early_stopping = make("objectives=loss_memory", "objectives.mode=pareto", *HALVING)
    base = report(0, 9.0, peak_memory_mb=1.0)
    assert judge(early_stopping, 0, base, report(200, 5.0, peak_memory_mb=900.0)) == [None, None]
    # 0.7/(1 + 6) + 0.3/501 = 0.1006 against 0.7/(1 + 5) + 0.3/901 = 0.1170
    assert judge(early_stopping, 1, base, report(200, 6.0, peak_memory_mb=500.0)) == [
        None,
        Outcome.RUNG,
    ]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_each_scheduler_can_be_created(make: Make, scheduler: str) -> None:
    make(f"scheduler={scheduler}").check()


@pytest.mark.parametrize("target", ["os.getcwd", "subprocess.run", "ray.tune.schedulers.Nothing"])
def test_a_target_that_is_no_scheduler_is_refused_in_advance(make: Make, target: str) -> None:
    with pytest.raises(UserError, match=rf"scheduler\._target_: '{target}' given, allowed: one of"):
        make("scheduler=asha", f"scheduler._target_={target}").check()
