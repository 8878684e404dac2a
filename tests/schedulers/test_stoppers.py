import math
from collections.abc import Callable

import pytest

from ugro.config import Config
from ugro.events.outcome import Outcome
from ugro.schedulers.stoppers import Divergence, MaxSeconds, MaxTokens, Plateau, stoppers

from .curves import report

BASE = report(0, 4.0)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (3.0, None),
        (8.0, None),  # twice the untrained model's, not above
        (8.1, Outcome.DIVERGED),
        (math.nan, Outcome.DIVERGED),
        (math.inf, Outcome.DIVERGED),
    ],
)
def test_divergence_is_nan_or_far_above_the_untrained_model(
    loss: float, expected: Outcome | None
) -> None:
    assert Divergence(2.0).judge([BASE, report(100, loss)], 1.0) is expected


def test_without_a_factor_only_nan_diverges() -> None:
    assert Divergence(None).judge([BASE, report(100, 1e9)], 1.0) is None
    assert Divergence(None).judge([BASE, report(100, math.nan)], 1.0) is Outcome.DIVERGED


def test_budgets_are_spent_when_they_are_reached() -> None:
    reports = [BASE, report(300, 3.0)]
    assert MaxTokens(301).judge(reports, 9.0) is None
    assert MaxTokens(300).judge(reports, 9.0) is Outcome.BUDGET
    assert MaxSeconds(9.1).judge(reports, 9.0) is None
    assert MaxSeconds(9.0).judge(reports, 9.0) is Outcome.TIMED_OUT


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "expected"),
    [
        ([3.0], 2, 0.0, None),
        ([3.0, 3.0], 2, 0.0, None),
        ([3.0, 3.0, 3.0], 2, 0.0, Outcome.PLATEAU),
        ([3.0, 3.1, 2.9], 2, 0.0, None),
        ([3.0, 3.1, 2.9], 2, 0.2, Outcome.PLATEAU),  # better, but not by enough
        ([3.0, 2.0, 2.5, 2.1], 2, 0.0, Outcome.PLATEAU),
        ([3.0, 2.9], 1, 0.0, None),
        ([3.0, 3.0], 1, 0.0, Outcome.PLATEAU),
    ],
)
def test_a_plateau_is_patience_reports_without_a_new_best(
    losses: list[float], patience: int, min_delta: float, expected: Outcome | None
) -> None:
    # The untrained model is better than all of them, and does not count.
    reports = [report(0, 1.0)] + [report(100 * (i + 1), loss) for i, loss in enumerate(losses)]
    assert Plateau(patience, min_delta).judge(reports, 1.0) is expected


def test_configured_stoppers_are_created(settings: Callable[..., Config]) -> None:
    assert stoppers(settings().stoppers) == [Divergence(2.0)]
    config = settings(
        "stoppers.max_tokens=4096",
        "stoppers.max_seconds=60",
        "stoppers.plateau_patience=3",
        "stoppers.plateau_min_delta=0.01",
        "stoppers.divergence_factor=null",
    )
    assert stoppers(config.stoppers) == [
        Divergence(None),
        MaxSeconds(60.0),
        MaxTokens(4096),
        Plateau(3, 0.01),
    ]
