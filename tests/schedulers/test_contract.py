"""Contract of all trial schedulers, Ray Tune's as configured here and UGRO's own."""

import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import FloatDistribution

from ugro.sampling.unit_cube import UnitCube
from ugro.schedulers.base import CONTINUE, Handle, ModelScheduler, TrialScheduler
from ugro.schedulers.early_stopping import CALLABLE

from .curves import LENGTH, Controller, play, result

Make = Callable[[], TrialScheduler]
OF_RANKS = ["asha", "hyperband", "median", "adaptive_asha", "promotion_asha", "dominance"]


@pytest.fixture(scope="module", params=["none", *OF_RANKS, "freeze_thaw"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def make(name: str, composed: Callable[..., DictConfig]) -> Make:
    def _make() -> TrialScheduler:
        numpy.random.seed(0)  # Ray draws brackets from NumPy's global generator
        settings: Any = OmegaConf.to_container(composed(f"scheduler={name}").scheduler)
        settings |= {"metric": "progress", "mode": "min", "time_attr": "tokens_seen"}
        if "grace_period" in settings:
            settings["grace_period"] *= LENGTH if settings["grace_period"] < 1 else 1
        settings |= {"max_t": LENGTH} if "max_t" in settings else {}
        scheduler: TrialScheduler = instantiate(settings, _execution_whitelist_=CALLABLE)
        if isinstance(scheduler, ModelScheduler):
            scheduler.on_study(UnitCube({"x": FloatDistribution(0.0, 1.0)}), 100, 0)
        return scheduler

    return _make


def levels(count: int, reports: int = 16) -> dict[str, list[float]]:
    """Curves that differ by a constant; the first is the best."""
    return {str(trial): [1.0 + trial] * reports for trial in range(count)}


def test_a_single_trial_runs_to_its_end(make: Make) -> None:
    assert play(make(), {"0": [3.0, 9.0, 2.0, 9.0] * 4}) == {"0": 16}


def test_the_best_is_never_stopped_and_most_tokens_go_to_the_better_half(
    make: Make, name: str
) -> None:
    given = play(make(), levels(20))
    assert given["0"] == 16
    if name not in ("none", "freeze_thaw"):  # freeze_thaw leaves no slot idle
        better, worse = (sum(given[str(t)] for t in half) for half in (range(10), range(10, 20)))
        assert better > worse
        assert given["19"] < 16


def test_decisions_are_deterministic(make: Make) -> None:
    generator = numpy.random.RandomState(1)
    curves = {str(trial): list(generator.rand(16)) for trial in range(12)}
    assert play(make(), curves) == play(make(), curves)


def test_nan_raises_nothing(make: Make) -> None:
    given = play(make(), {**levels(6), "nan": [math.nan] * 16})
    assert given["0"] == 16


def test_a_trial_may_be_removed_without_a_result(make: Make) -> None:
    scheduler = make()
    scheduler.on_trial_add(Controller(), Handle("a", {"x": 0.5}))
    scheduler.on_trial_remove(Controller(), Handle("a", {"x": 0.5}))
    scheduler.on_trial_add(Controller(), Handle("b", {"x": 0.5}))
    assert (
        scheduler.on_trial_result(Controller(), Handle("b", {"x": 0.5}), result(50, 1.0))
        == CONTINUE
    )


@property_settings(deadline=None, derandomize=True, max_examples=10)
@given(
    losses=st.lists(st.lists(st.integers(0, 1000), min_size=16, max_size=16), max_size=8),
    factor=st.sampled_from([0.5, 2.0, 8.0]),
    shift=st.integers(-64, 64),
)
def test_only_the_order_of_values_matters(
    make: Make, name: str, losses: list[list[int]], factor: float, shift: int
) -> None:
    if name == "freeze_thaw":
        return  # it models the values
    curves = {str(trial): [float(loss) for loss in one] for trial, one in enumerate(losses)}
    other = {key: [factor * loss + shift for loss in one] for key, one in curves.items()}
    if curves:
        assert play(make(), curves) == play(make(), other)
