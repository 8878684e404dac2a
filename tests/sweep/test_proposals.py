from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from optuna.study import StudyDirection
from optuna.trial import TrialState

from ugro.errors import UserError
from ugro.report import TrialResult
from ugro.sweep.proposals import Proposals, sampler_of, total_trials
from ugro.sweep.search_space import SearchSpace, parse
from ugro.sweep.study import Ending, Study, create_or_continue

SIX = parse({}, ["lora.r=4,8,16", "lora.bias=none,all"])
IN_ORDER = [(4, "none"), (4, "all"), (8, "none"), (8, "all"), (16, "none"), (16, "all")]
CONTINUOUS = parse({}, ["lora.r=4,8", "training.learning_rate=tag(log,interval(1e-5,1e-3))"])
TWELVE = parse({}, ["lora.r=4,8,16,32", "lora.dropout=range(0.0,0.3,0.1)"])
UPSTREAM = ["tpe_multivariate", "tpe", "random", "cmaes", "nsgaii", "nsgaiii", "gp", "qmc", "grid"]
Build = Callable[..., optuna.samplers.BaseSampler]
SAMPLERS = ["RandomSampler", "TPESampler", "GridSampler"]

optuna.logging.set_verbosity(optuna.logging.ERROR)


def sampler_config(name: str, seed: int | None = 0) -> DictConfig:
    """As upstream's ``hydra/sweeper/sampler`` has it."""
    partial = {"_partial_": True} if name == "GridSampler" else {}
    return OmegaConf.create({"_target_": f"optuna.samplers.{name}", "seed": seed, **partial})


def run(study: Study, proposals: Proposals, ends: Ending = Ending.COMPLETE) -> list[Any]:
    """Run all that is proposed; the objective is made up from the number."""
    tried = []
    for trial in proposals:
        tried.append(tuple(trial.params.values()))
        study.tell(trial, ends, TrialResult((trial.number * 7 % 5) / 5, {}))
    return tried


def continued(study: Study, space: SearchSpace, n_trials: int | None, name: str) -> Proposals:
    study.record.sampler = sampler_of(sampler_config(name), space, len(study.record.trials))
    return Proposals(study, space, n_trials, seed=0)


@pytest.fixture(params=["memory", "sqlite"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Study:
    if request.param == "memory":
        return Study(optuna.create_study())
    return create_or_continue("s", f"sqlite:///{tmp_path}/study.db", StudyDirection.MINIMIZE)


def in_memory() -> Study:
    return Study(optuna.create_study())


# A space that the budget covers


@pytest.mark.parametrize("n_trials", [None, 6, 50])
def test_a_finite_space_is_run_through_once_in_order(n_trials: int | None) -> None:
    study = in_memory()
    proposals = Proposals(study, SIX, n_trials, seed=0)
    assert proposals.total == 6
    assert run(study, proposals) == IN_ORDER
    assert [trial.number for trial in study.record.trials] == [0, 1, 2, 3, 4, 5]


def test_with_nothing_to_search_one_trial_is_proposed() -> None:
    study = in_memory()
    assert run(study, Proposals(study, parse({}, ["model=tiny"]), None, seed=0)) == [()]


def test_trials_that_still_run_are_not_proposed_again() -> None:
    at_once = list(Proposals(in_memory(), SIX, None, seed=0))
    assert [tuple(trial.params.values()) for trial in at_once] == IN_ORDER


def test_a_finished_study_proposes_nothing() -> None:
    study = in_memory()
    run(study, Proposals(study, SIX, None, seed=0))
    assert run(study, Proposals(study, SIX, None, seed=0)) == []
    assert run(study, Proposals(study, SIX, 3, seed=0)) == []


# A space that the budget does not cover


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("seed", range(4))
def test_five_trials_of_six_configurations_are_five_configurations(name: str, seed: int) -> None:
    study = in_memory()
    study.record.sampler = sampler_of(sampler_config(name, seed), SIX, 0)
    tried = run(study, Proposals(study, SIX, 5, seed))
    assert len(tried) == len(set(tried)) == 5
    assert set(tried) < set(IN_ORDER)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_that_insists_on_one_configuration_is_overruled_at_random() -> None:
    stubborn = optuna.samplers.PartialFixedSampler(
        {"lora.r": 4, "lora.bias": "all"}, optuna.samplers.RandomSampler(0)
    )
    study = in_memory()
    study.record.sampler = stubborn
    tried = run(study, Proposals(study, SIX, 4, seed=0))
    assert tried[0] == (4, "all")
    assert len(set(tried)) == 4
    refused = [t for t in study.record.trials if t.user_attrs["reason"] == "duplicate"]
    assert len(refused) == 3 * 3  # asked three times before each of the other three
    assert {trial.state for trial in refused} == {TrialState.FAIL}
    assert len(study.trials()) == 4


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_study_continued_from_some_to_all_configurations_tries_each_once(
    name: str,
) -> None:
    study = in_memory()
    first = run(study, continued(study, SIX, 4, name))
    rest = run(study, continued(study, SIX, None, name))
    assert (len(first), len(rest)) == (4, 2)
    assert Counter(first + rest) == Counter(IN_ORDER)


def test_a_value_in_steps_is_the_same_however_the_sampler_computes_it() -> None:
    # Samplers say 0.1 + 2 * 0.1 = 0.30000000000000004, the list of combinations says 0.3.
    tenths = parse({}, ["lora.dropout=range(0.1,0.7,0.1)"])
    study = in_memory()
    first = run(study, continued(study, tenths, 5, "TPESampler"))
    rest = run(study, continued(study, tenths, None, "TPESampler"))
    assert sorted(round(value, 3) for (value,) in first + rest) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@property_settings(deadline=None, derandomize=True, max_examples=25)
@given(
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    n_trials=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_no_configuration_is_ever_proposed_twice(
    counts: list[int], n_trials: int, seed: int
) -> None:
    sweeps = [f"k{key}=range(0,{count})" for key, count in enumerate(counts)]
    finite = parse({}, sweeps)
    study = in_memory()
    study.record.sampler = optuna.samplers.RandomSampler(seed)
    tried = run(study, Proposals(study, finite, n_trials, seed))
    assert finite.size is not None
    assert len(tried) == len(set(tried)) == min(n_trials, finite.size)


# Continued studies


def test_n_trials_is_the_total_over_all_runs(study: Study) -> None:
    assert len(run(study, continued(study, CONTINUOUS, 4, "TPESampler"))) == 4
    assert len(run(study, continued(study, CONTINUOUS, 6, "TPESampler"))) == 2
    assert run(study, continued(study, CONTINUOUS, 6, "TPESampler")) == []
    assert len(study.finished()) == 6


@pytest.mark.parametrize("ends", [Ending.FAILED, Ending.DIVERGED])
def test_a_failed_or_diverged_trial_counts_and_is_not_tried_again(ends: Ending) -> None:
    study = in_memory()
    first = next(Proposals(study, SIX, None, seed=0))
    study.tell(first, ends, error="out of memory")
    assert run(study, Proposals(study, SIX, None, seed=0)) == IN_ORDER[1:]


def test_an_interrupted_configuration_is_tried_again(study: Study) -> None:
    proposals = Proposals(study, SIX, None, seed=0)
    first, second, third = (next(proposals) for _ in range(3))
    study.tell(first, Ending.COMPLETE, TrialResult(1.0, {}))
    study.tell(second, Ending.INTERRUPTED)
    del third  # left running, as a killed driver does
    study.close_abandoned()
    assert run(study, Proposals(study, SIX, None, seed=0)) == IN_ORDER[1:]


@pytest.mark.parametrize("name", SAMPLERS)
def test_interrupted_trials_do_not_use_up_the_budget(name: str) -> None:
    study = in_memory()
    run(study, continued(study, SIX, 3, name), Ending.INTERRUPTED)
    tried = run(study, continued(study, SIX, 5, name))
    assert len(set(tried)) == 5


def test_the_same_seed_proposes_the_same_and_a_continued_study_something_else() -> None:
    def first_four() -> tuple[Study, list[Any]]:
        study = in_memory()
        return study, run(study, continued(study, CONTINUOUS, 4, "RandomSampler"))

    study, tried = first_four()
    assert first_four()[1] == tried
    more = run(study, continued(study, CONTINUOUS, 8, "RandomSampler"))
    assert len(set(tried + more)) == 8


# Every sampler of hydra/sweeper/sampler


@pytest.fixture(scope="module", params=UPSTREAM)
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "cmaes":
        pytest.importorskip("cmaes")
    return str(request.param)


@pytest.fixture(scope="module")
def build(name: str, composed: Callable[..., DictConfig]) -> Build:
    """``build(space, tried)``: the sampler of that name, seeded."""
    chosen = (f"hydra/sweeper/sampler={name}", "hydra.sweeper.sampler.seed=0")
    config = composed(*chosen, with_hydra=True).hydra.sweeper.sampler
    return lambda space, tried=0: sampler_of(config, space, tried)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n_trials", [5, 11])
def test_each_sampler_gives_as_many_configurations_as_trials_the_same_for_the_same_seed(
    n_trials: int, build: Build
) -> None:
    def tried() -> list[Any]:
        study = in_memory()
        study.record.sampler = build(TWELVE)
        return run(study, Proposals(study, TWELVE, n_trials, seed=0))

    first = tried()
    assert len(first) == len(set(first)) == n_trials
    assert set(first) < {tuple(c.values()) for c in TWELVE.combinations()}
    assert tried() == first


@pytest.mark.filterwarnings("ignore")
def test_each_sampler_goes_on_with_what_it_left(build: Build) -> None:
    study = in_memory()
    tried = []
    for n_trials in (4, 8):
        study.record.sampler = build(TWELVE, len(study.record.trials))
        tried += run(study, Proposals(study, TWELVE, n_trials, seed=0))
    assert len(tried) == len(set(tried)) == 8


@pytest.mark.filterwarnings("ignore")
def test_each_sampler_is_what_it_is_called(name: str, build: Build) -> None:
    kind = type(build(SIX)).__name__.strip("_").lower().removesuffix("sampler")
    assert kind == name.removesuffix("_multivariate")


# The sampler and the total


def test_the_grid_sampler_draws_each_configuration_once_in_its_own_order() -> None:
    study = in_memory()
    tried = run(study, continued(study, SIX, 5, "GridSampler"))
    assert len(set(tried)) == 5
    assert tried != IN_ORDER[:5]
    alone = in_memory()
    one = parse({}, ["lora.r=choice(8)"])
    assert run(alone, continued(alone, one, None, "GridSampler")) == [(8,)]


def test_the_grid_sampler_is_refused_for_a_continuous_space() -> None:
    with pytest.raises(UserError, match=r"^hydra/sweeper/sampler: 'grid' given, allowed: another"):
        sampler_of(sampler_config("GridSampler"), CONTINUOUS, 0)


def test_a_continuous_space_needs_to_know_how_many() -> None:
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.n_trials: None given, allowed: a num"):
        Proposals(in_memory(), CONTINUOUS, None, seed=0)
    assert total_trials(CONTINUOUS, 7) == 7


@pytest.mark.parametrize("n_trials", [0, -3])
@pytest.mark.parametrize("space", [SIX, CONTINUOUS])
def test_fewer_trials_than_one_are_refused(n_trials: int, space: SearchSpace) -> None:
    with pytest.raises(UserError, match=f"n_trials: {n_trials} given, allowed: 1 or more"):
        total_trials(space, n_trials)


@pytest.mark.parametrize(("n_trials", "total"), [(None, 6), (5, 5), (6, 6), (7, 6)])
def test_a_finite_space_bounds_the_total(n_trials: int | None, total: int) -> None:
    assert total_trials(SIX, n_trials) == total
