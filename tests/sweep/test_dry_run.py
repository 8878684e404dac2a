from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from rich.console import Console

from ugro.config import typed
from ugro.space.composition import without_hydra
from ugro.space.feasible import FeasibleSpace
from ugro.sweep.dry_run import Stops, show, stops_of
from ugro.sweep.plan import Plan

from ..spaces import Feasible

QUICK = {"training.max_steps": 4, "training.gradient_accumulation_steps": 1, "data.block_size": 32}


def printed(feasible: FeasibleSpace, total: int = 10, **settings: Any) -> list[str]:
    trial = feasible.composer.compose({}).copy()
    for key, value in settings.items():
        OmegaConf.update(trial, key, value)
    console = Console(width=200, record=True, file=StringIO())
    show(Plan(trial, typed(without_hydra(trial)), feasible, [], total, {}), console)
    return console.export_text().splitlines()


def test_each_sample_has_its_own_length(feasible: Feasible) -> None:
    fixed = [f"{key}={value}" for key, value in QUICK.items()]
    lines = printed(feasible("training.batch_size=2,4", *fixed))
    assert "Tokens at most: 5,120" in lines  # ten of 4 x 4 x 32
    (expected,) = (line for line in lines if line.startswith("Tokens expected: about "))
    # Both sizes are drawn alike, so the mean lies between 2 x 128 and 4 x 128 tokens.
    assert 2_560 < int(expected.split()[-1].replace(",", "")) < 5_120


def test_a_limit_of_the_study_bounds_its_tokens(feasible: Feasible) -> None:
    space = feasible("lora.r=4,8", *(f"{key}={value}" for key, value in QUICK.items()))
    lines = printed(space, **{"study.max_tokens": 1000})
    assert "Tokens at most: 1,000" in lines
    assert "Tokens expected: about 1,000" in lines


def test_trials_of_a_confirmation_are_counted_apart(feasible: Feasible) -> None:
    space = feasible("lora.r=4,8", *(f"{key}={value}" for key, value in QUICK.items()))
    lines = printed(space, **{"study.confirm": 2})
    assert "Trials: 10" in lines
    assert "To be confirmed: the best 2, 3 seeds each: 6 trials more at most" in lines


def test_epochs_count_data_that_are_not_read(feasible: Feasible) -> None:
    space = feasible("lora.r=4,8", "training.max_tokens=null", "training.epochs=1")
    lines = printed(space)
    assert "Tokens: training.epochs counts the data, which are not read here" in lines
    assert "Expected: 100% of the tokens of 10 whole trials" in lines


@pytest.mark.parametrize(
    ("scheduler", "length", "at", "go_on"),
    [
        (
            {"max_t": None, "grace_period": 0.0625, "reduction_factor": 4},
            None,
            (1 / 16, 1 / 4),
            1 / 4,
        ),
        ({"max_t": 900, "grace_period": 100, "reduction_factor": 3}, 5, (1 / 9, 1 / 3), 1 / 3),
        ({"max_t": None, "grace_period": 100, "reduction_factor": 3}, 900, (1 / 9, 1 / 3), 1 / 3),
        ({"max_t": None, "grace_period": 100, "reduction_factor": 3}, None, (), 1 / 3),
        ({"grace_period": 0.25}, None, (0.25,), 0.5),
        ({"grace_period": 1}, None, (), 0.5),
        ({}, 900, (), 1.0),
    ],
)
def test_stops_are_shares_of_a_trial(
    scheduler: dict[str, Any], length: float | None, at: tuple[float, ...], go_on: float
) -> None:
    assert stops_of(OmegaConf.create(scheduler), length) == Stops(pytest.approx(at), go_on)


def test_what_is_expected_by_hand() -> None:
    # A sixteenth by all, three sixteenths by a quarter, the rest by a sixteenth.
    assert Stops((1 / 16, 1 / 4), 1 / 4).expected == pytest.approx(1 / 16 + 3 / 64 + 3 / 64)
    assert Stops().expected == 1


@given(st.lists(st.floats(0.001, 0.999), max_size=6, unique=True), st.floats(0.01, 1))
def test_the_expected_share_lies_between_the_first_stop_and_the_whole(
    at: list[float], go_on: float
) -> None:
    stops = Stops(tuple(sorted(at)), go_on)
    assert min((*at, 1)) - 1e-9 <= stops.expected <= 1 + 1e-9
