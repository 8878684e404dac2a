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
    show(
        Plan(trial, typed(without_hydra(trial)), feasible, [], total, {}, "RandomSampler"), console
    )
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


def test_trials_of_a_confirmation_are_counted_separately(feasible: Feasible) -> None:
    space = feasible("lora.r=4,8", *(f"{key}={value}" for key, value in QUICK.items()))
    lines = printed(space, **{"study.confirm": 2})
    assert "Trials: 10" in lines
    assert "Confirmation: the best 2, 3 seeds each: at most 6 more trials" in lines


def test_tokens_of_epochs_are_unknown_in_a_dry_run(feasible: Feasible) -> None:
    space = feasible("lora.r=4,8", "training.max_tokens=null", "training.epochs=1")
    lines = printed(space)
    assert "Tokens: training.epochs counts the data, which are not read here" in lines
    assert "Expected: 100% of the tokens of 10 full trials" in lines


ASHA = {"max_t": None, "grace_period": 100, "reduction_factor": 3}


@pytest.mark.parametrize(
    ("scheduler", "length", "at", "shares", "go_on"),
    [
        # A share of a trial: 1/16 and 1/4 of 1,600, or of whatever its length is.
        (
            {**ASHA, "grace_period": 0.0625, "reduction_factor": 4},
            1600,
            (100, 400),
            (1 / 16, 1 / 4),
            1 / 4,
        ),
        (
            {**ASHA, "grace_period": 0.0625, "reduction_factor": 4},
            None,
            None,
            (1 / 16, 1 / 4),
            1 / 4,
        ),
        # So many tokens or steps: 100 and 300 of 900.
        (ASHA, 900, (100, 300), (1 / 9, 1 / 3), 1 / 3),
        (ASHA, 80, (), (), 1 / 3),
        (ASHA, None, None, None, 1 / 3),
        # Rungs end at max_t, whether trials are longer, shorter or of unknown length.
        ({**ASHA, "max_t": 900}, 1800, (100, 300), (1 / 18, 1 / 6), 1 / 3),
        ({**ASHA, "max_t": 900}, 200, (100, 300), (1 / 2,), 1 / 3),
        ({**ASHA, "max_t": 900}, None, (100, 300), None, 1 / 3),
        # The median rule.
        ({"grace_period": 0.25}, 400, (100,), (0.25,), 0.5),
        ({"grace_period": 0.25}, None, None, (0.25,), 0.5),
        ({"grace_period": 1}, None, None, None, 0.5),
        # None.
        ({}, 900, (), (), 1.0),
    ],
)
def test_stops_by_hand(
    scheduler: dict[str, Any],
    length: float | None,
    at: tuple[float, ...] | None,
    shares: tuple[float, ...] | None,
    go_on: float,
) -> None:
    found = stops_of(OmegaConf.create(scheduler), length)
    assert found == Stops(at and pytest.approx(at), shares and pytest.approx(shares), go_on)


@pytest.fixture(scope="module")
def sixteen_steps(feasible: Feasible) -> FeasibleSpace:
    """Steps of 4 x 32 tokens: 2,048 per trial."""
    longer = {**QUICK, "training.max_steps": 16, "training.batch_size": 4}
    fixed = [f"{key}={value}" for key, value in longer.items()]
    return feasible("lora.r=4,8", *fixed, "scheduler=asha")


@pytest.mark.parametrize(
    ("scheduler", "rungs", "expected"),
    [
        # A quarter by all, a quarter by half, half by a quarter of ten trials.
        ({"grace_period": 0.25, "reduction_factor": 2}, "512, 1,024 tokens", "about 10,240"),
        (
            {"time_attr": "step", "grace_period": 4, "reduction_factor": 2},
            "4, 8 steps",
            "about 10,240",
        ),
        (
            {"time_attr": "step", "grace_period": 16},
            "none, every trial runs to its end",
            "about 20,480",
        ),
        (
            {"time_attr": "seconds", "grace_period": 0.25, "reduction_factor": 2},
            "25.00%, 50.00% of a trial's seconds",
            "about 10,240",
        ),
        (
            {"time_attr": "seconds", "grace_period": 10},
            "unknown until a trial has reported its length in seconds",
            "unknown",
        ),
        ({"time_attr": "seconds", "grace_period": 10, "max_t": 100}, "10, 40 seconds", "unknown"),
    ],
)
def test_rungs_are_listed_or_reported_as_unknown(
    scheduler: dict[str, Any], rungs: str, expected: str, sixteen_steps: FeasibleSpace
) -> None:
    lines = printed(sixteen_steps, **{f"scheduler.{key}": one for key, one in scheduler.items()})
    assert f"Rungs: {rungs}" in lines
    assert f"Tokens expected: {expected}" in lines


def test_the_default_scheduler_is_shown_as_what_it_is_in_this_study(feasible: Feasible) -> None:
    longer = {**QUICK, "training.max_steps": 16, "training.batch_size": 4}
    fixed = [f"{key}={value}" for key, value in longer.items()]
    some = printed(feasible("lora.dropout=interval(0,0.1)", *fixed))
    assert "Scheduler: freeze-thaw" in some
    assert "Pauses: 163.8 tokens or later" in some  # of 2,048
    every = printed(feasible("lora.r=4,8", *fixed))
    assert "Scheduler: none, as every configuration runs" in every
    assert "Rungs: none, every trial runs to its end" in every


def test_rungs_are_those_of_the_full_trial_if_a_stopper_ends_it(feasible: Feasible) -> None:
    longer = {**QUICK, "training.max_steps": 16, "training.batch_size": 4}
    fixed = [f"{key}={value}" for key, value in longer.items()]
    space = feasible("lora.r=4,8", *fixed, "scheduler=asha", "stoppers.max_tokens=256")
    lines = printed(space)
    assert "Rungs: 128, 512 tokens" in lines  # of 2,048
    assert "Tokens at most: 2,560" in lines
    assert "Tokens expected: about 1,600" in lines  # 128 by all, 128 by a quarter of the trials


def test_expected_tokens_are_unknown_for_epochs_with_rungs_in_steps(feasible: Feasible) -> None:
    epochs = ["training.max_tokens=null", "training.epochs=1", "scheduler=asha"]
    steps = [*epochs, "scheduler.time_attr=step", "scheduler.grace_period=10"]
    lines = printed(feasible("lora.r=4,8", *steps))
    assert "Rungs: unknown until a trial has reported its length in steps" in lines
    assert "Expected: unknown" in lines


def test_expected_shares_by_hand() -> None:
    # A sixteenth by all, three sixteenths by a quarter, the rest by a sixteenth.
    stops = Stops((), (1 / 16, 1 / 4), 1 / 4)
    assert stops.expected() == pytest.approx(1 / 16 + 3 / 64 + 3 / 64)
    assert Stops().expected() == 1
    assert Stops(None, None).expected() is None
    # A stopper ends it at an eighth: half of that by all, the other half by a quarter.
    assert stops.expected(1 / 8) == pytest.approx(1 / 2 + 1 / 8)


@given(st.lists(st.floats(0.001, 0.999), max_size=6, unique=True), st.floats(0.01, 1))
def test_the_expected_share_lies_between_the_first_stop_and_one(
    at: list[float], go_on: float
) -> None:
    expected = Stops((), tuple(sorted(at)), go_on).expected()
    assert expected is not None
    assert min((*at, 1)) - 1e-9 <= expected <= 1 + 1e-9
