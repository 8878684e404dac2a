from collections.abc import Callable

import pytest

from ugro.config import Config
from ugro.sweep.limits import Limits


@pytest.fixture
def limits(settings: Callable[..., Config]) -> Callable[..., Limits]:
    def _limits(*overrides: str, maximised: bool = False) -> Limits:
        return Limits(settings(*overrides).study, maximised)

    return _limits


def test_without_limits_none_is_reached(limits: Callable[..., Limits]) -> None:
    free = limits()
    free.add_tokens(0, 10**12)
    free.add_value(0.0)
    assert free.reached(1e9) == ""


def test_seconds_and_tokens_end_a_study(limits: Callable[..., Limits]) -> None:
    assert limits("study.max_seconds=60").reached(59.9) == ""
    assert limits("study.max_seconds=60").reached(60.0) == "study.max_seconds=60"
    tokens = limits("study.max_tokens=1000")
    tokens.add_tokens(0, 600)
    assert tokens.reached(0.0) == ""
    tokens.add_tokens(1, 400)
    assert tokens.reached(0.0) == "study.max_tokens=1000"


def test_what_a_trial_repeats_or_another_driver_tells_again_counts_once(
    limits: Callable[..., Limits],
) -> None:
    tokens = limits("study.max_tokens=1000")
    for tokens_seen in (100, 300, 200, 300):  # it went on from its checkpoint at 200
        tokens.add_tokens(0, tokens_seen)
    tokens.add_tokens(1, 50)
    assert tokens.tokens == 350


@pytest.mark.parametrize(("maximised", "near", "hit"), [(False, 2.1, 1.9), (True, 1.9, 2.1)])
def test_a_target_is_reached_from_its_own_side(
    maximised: bool, near: float, hit: float, limits: Callable[..., Limits]
) -> None:
    target = limits("study.target=2", maximised=maximised)
    assert target.reached(0.0) == ""
    target.add_value(near)
    assert target.reached(0.0) == ""
    target.add_value(hit)
    target.add_value(near)  # the best counts, not the last
    assert target.reached(0.0) == "study.target=2"
