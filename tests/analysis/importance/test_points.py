import math

import numpy
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tests.studies import ended, in_memory
from ugro.analysis.importance.points import Axis, points_of, union_of
from ugro.events.outcome import Outcome

R = CategoricalDistribution((16, 8, 64))
MODULES = CategoricalDistribution(("[q_proj,v_proj]", "all-linear"))
RATE = FloatDistribution(1e-5, 1e-3, log=True)


@pytest.mark.parametrize(
    ("over", "value", "at"),
    [
        (RATE, 1e-4, 0.5),
        (FloatDistribution(0.0, 0.2), 0.05, 0.25),
        (FloatDistribution(3.0, 3.0), 3.0, 0.5),
        (IntDistribution(1, 4), 1, 0.125),  # four values, a quarter of the line each
        (IntDistribution(1, 4), 4, 0.875),
        (IntDistribution(1, 8, log=True), 2, math.log(4) / math.log(17)),  # 0.5 to 8.5
        (R, 8, 1 / 6),  # numbers in their order, however they are given
        (R, 64, 5 / 6),
        (MODULES, "[q_proj,v_proj]", 0.25),
        (CategoricalDistribution((True, False)), False, 0.75),
        (CategoricalDistribution((None, 10)), None, 0.25),
    ],
)
def test_a_value_has_its_place_on_the_line(
    over: BaseDistribution, value: object, at: float
) -> None:
    assert Axis("key", over).at(value) == pytest.approx(at)


def test_what_lies_near_is_alike_only_among_numbers() -> None:
    assert Axis("lora.r", R).ordered
    assert not Axis("lora.target_modules", MODULES).ordered
    assert not Axis("lora.use_dora", CategoricalDistribution((True, False))).ordered


def test_a_key_that_a_trial_did_not_search_is_filled_with_the_median() -> None:
    study = in_memory()
    for rate, r in ((1e-5, 16), (1e-4, 8), (1e-3, 8)):
        over = {"rate": RATE} if r == 16 else {"rate": RATE, "lora.r": R}
        ended(study, over, Outcome.COMPLETE, 1.0, given={"rate": rate, "lora.r": r})
    ended(study, {"lora.r": R}, Outcome.COMPLETE, 1.0, given={"lora.r": 64})
    points = points_of(study.trials())
    assert [axis.key for axis in points.axes] == ["rate", "lora.r"]
    assert numpy.isnan(points.at).sum(axis=0).tolist() == [1, 1]
    assert points.filled()[:, 0] == pytest.approx([0, 0.5, 1, 0.5])
    assert points.filled()[0, 1] == pytest.approx(1 / 6)


def test_a_key_with_one_value_is_no_axis() -> None:
    study = in_memory()
    for r in (8, 64):
        ended(study, {"lora.r": R, "rate": RATE}, Outcome.COMPLETE, 1.0, given={"lora.r": r})
    assert [axis.key for axis in points_of(study.trials()).axes] == ["lora.r"]
    assert points_of([]).axes == ()
    assert points_of([]).filled().size == 0


def test_bounds_that_changed_in_a_study_are_taken_together() -> None:
    wider = FloatDistribution(1e-4, 1e-2, log=True)
    assert union_of([RATE, wider]) == FloatDistribution(1e-5, 1e-2, log=True)
    assert union_of([IntDistribution(1, 4), IntDistribution(2, 8)]) == IntDistribution(1, 8)
    more = CategoricalDistribution((8, 128))
    assert union_of([R, more]) == CategoricalDistribution((16, 8, 64, 128))
    assert union_of([R, RATE]) == RATE  # a key that was something else before


def test_an_enqueued_value_outside_of_its_range_widens_the_axis() -> None:
    import optuna

    record = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    record.enqueue_trial({"x": 3.0})  # which Optuna warns of, and runs
    record.enqueue_trial({"x": 0.0})
    record.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=3)
    points = points_of(record.trials)
    assert points.axes[0].over == FloatDistribution(0.0, 3.0)
    assert list(points.at[:2, 0]) == [1.0, 0.0]
