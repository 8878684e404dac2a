"""Contract of all configured samplers."""

from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import DictConfig

from tests.spaces import Feasible
from ugro.errors import UserError
from ugro.events.outcome import Outcome
from ugro.sampling.configured_sampler import sampler_of
from ugro.sampling.sampler import Sampler
from ugro.space.feasible import FeasibleSpace

UPSTREAM = ["tpe_multivariate", "tpe", "random", "cmaes", "nsgaii", "nsgaiii", "gp", "qmc", "grid"]
Build = Callable[..., Sampler]


@pytest.fixture(scope="module", params=["auto", *UPSTREAM])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def space(name: str, feasible: Feasible) -> FeasibleSpace:
    if name == "grid":
        return feasible("lora.r=4,8,16,32", "lora.dropout=range(0.0,0.3,0.1)")
    return feasible("lora.r=4,8,16", "training.learning_rate=tag(log,interval(1e-5,1e-3))")


@pytest.fixture(scope="module")
def build(name: str, composed: Callable[..., DictConfig]) -> Build:
    """``build(space, seed, tried)``: the sampler of this name."""
    config = composed(f"hydra/sweeper/sampler={name}", with_hydra=True).hydra.sweeper.sampler
    return lambda space, seed=0, tried=0: sampler_of(config, ["minimize"], space, seed, (), tried)


def draws(sampling: Sampler) -> list[dict[str, Any]]:
    """Twelve draws, of which one fails, one is rejected and one is pruned."""
    found = []
    for number in range(12):
        trial = sampling.ask()
        found.append(dict(trial.parameters))
        match number:
            case 3:
                sampling.tell(trial, Outcome.FAILED)
            case 4:
                sampling.reject(trial)
            case 5:
                sampling.report(trial, 1024, 0.5)
                sampling.tell(trial, Outcome.RUNG)
            case _:
                sampling.tell(trial, Outcome.COMPLETE, (trial.parameters["lora.r"] / (number + 1),))
    return found


@pytest.mark.filterwarnings("ignore")
def test_the_same_seed_draws_the_same_for_any_outcomes(build: Build, space: FeasibleSpace) -> None:
    first = draws(build(space))
    assert draws(build(space)) == first
    for parameters in first:
        assert list(parameters) == list(space.space.distributions)
        assert not space.broken(parameters)


@pytest.mark.filterwarnings("ignore")
def test_the_studys_seed_applies_if_the_sampler_has_none(
    build: Build, space: FeasibleSpace
) -> None:
    assert draws(build(space, 1)) != draws(build(space, 2))


@pytest.mark.filterwarnings("ignore")
def test_a_resumed_study_draws_anew(build: Build, space: FeasibleSpace) -> None:
    assert draws(build(space, 0, tried=5)) != draws(build(space))


@pytest.mark.filterwarnings("ignore")
def test_several_draws_may_precede_the_first_result(build: Build, space: FeasibleSpace) -> None:
    sampling = build(space)
    at_once = [sampling.ask() for _ in range(8)]
    for trial in at_once:
        sampling.tell(trial, Outcome.COMPLETE, (1.0,))
    assert len({str(trial.parameters) for trial in at_once}) > 1


@pytest.mark.filterwarnings("ignore")
def test_each_option_creates_the_sampler_of_its_name(
    name: str, build: Build, space: FeasibleSpace
) -> None:
    sampler = build(space)
    kind = type(sampler).__name__ if name == "auto" else sampler.description
    assert kind.lower().removesuffix("sampler") == name.removesuffix("_multivariate")


def test_the_grid_sampler_is_refused_for_a_continuous_space(
    composed: Callable[..., DictConfig], feasible: Feasible
) -> None:
    grid = composed("hydra/sweeper/sampler=grid", with_hydra=True).hydra.sweeper.sampler
    continuous = feasible("lora.dropout=interval(0,1)")
    with pytest.raises(UserError, match=r"^hydra/sweeper/sampler: 'grid' given, allowed: another"):
        sampler_of(grid, ["minimize"], continuous, 0)


def test_a_target_that_is_no_sampler_is_refused_and_not_called(feasible: Feasible) -> None:
    config = DictConfig({"_target_": "os.getcwd"})
    allowed = r"^hydra\.sweeper\.sampler\._target_: 'os\.getcwd' given, allowed: one of"
    with pytest.raises(UserError, match=allowed):
        sampler_of(config, ["minimize"], feasible("lora.r=1,2"), 0)


@pytest.mark.parametrize("option", ["auto", "tpe_multivariate"])
def test_a_result_of_several_objectives_has_all_values(
    option: str, composed: Callable[..., DictConfig], feasible: Feasible
) -> None:
    space = feasible("lora.dropout=interval(0,1)")
    config = composed(f"hydra/sweeper/sampler={option}", with_hydra=True).hydra.sweeper.sampler
    sampling = sampler_of(config, ["minimize", "maximize"], space, 0)
    for number in range(15):
        trial = sampling.ask()
        sampling.report(trial, 1024, 0.5)  # Optuna refuses it; here it is ignored
        ends = Outcome.RUNG if number % 3 else Outcome.COMPLETE
        sampling.tell(trial, ends, (trial.parameters["lora.dropout"], 1.0))
