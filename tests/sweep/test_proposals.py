from collections import Counter

import optuna
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from ugro.events.outcome import Outcome
from ugro.sampling.optuna_sampler import OptunaSampler
from ugro.space.feasible import FeasibleSpace
from ugro.sweep.initial_trials import Planned
from ugro.sweep.proposals import SAMPLER_ATTEMPTS, Proposals

from ..spaces import Feasible
from .proposing import CONTINUOUS, IN_ORDER, SIX, Sweep


@pytest.fixture(scope="module")
def six(feasible: Feasible) -> FeasibleSpace:
    return feasible(*SIX)


@pytest.fixture(scope="module")
def continuous(feasible: Feasible) -> FeasibleSpace:
    return feasible(*CONTINUOUS)


# A space that the budget covers


@pytest.mark.parametrize("n_trials", [None, 6, 50])
def test_a_finite_space_is_enumerated_once_in_order(
    n_trials: int | None, six: FeasibleSpace
) -> None:
    sweep = Sweep(six)
    assert sweep.run(n_trials) == IN_ORDER
    assert sweep.refused == []


def test_with_nothing_to_search_one_trial_is_proposed(feasible: Feasible) -> None:
    assert Sweep(feasible("model=tiny")).run(None) == [()]


def test_running_trials_are_not_proposed_again(six: FeasibleSpace) -> None:
    at_once = list(Sweep(six).proposals(None))
    assert [tuple(one.parameters.values()) for one in at_once] == IN_ORDER


def test_a_finished_study_proposes_nothing(six: FeasibleSpace) -> None:
    sweep = Sweep(six)
    sweep.run(None)
    assert sweep.run(None) == []
    assert sweep.run(3) == []


# A space that the budget does not cover


@pytest.mark.parametrize("seed", range(4))
def test_five_trials_of_six_configurations_are_five_configurations(
    seed: int, six: FeasibleSpace
) -> None:
    tried = Sweep(six, seed).run(5)
    assert len(tried) == len(set(tried)) == 5
    assert set(tried) < set(IN_ORDER)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_gaussian_process_learns_from_rejections(feasible: Feasible) -> None:
    """Unless it sees them, it repeats its first infeasible proposal for ever."""
    limited = feasible(*CONTINUOUS, constraints=["training.learning_rate <= 1e-4"])
    sweep = Sweep(limited)
    sweep.run(18, sampler=optuna.samplers.GPSampler(seed=0, n_startup_trials=5))
    assert len(sweep.refused) < 20


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_gaussian_process_moves_on_from_a_duplicate(feasible: Feasible) -> None:
    sweep = Sweep(feasible("lora.r=4,8,16,32", "lora.dropout=0,0.05,0.1,0.2"))
    sources = []
    for proposal in sweep.proposals(10, optuna.samplers.GPSampler(seed=0, n_startup_trials=4)):
        sources.append(proposal.source)
        sweep.sampling.tell(proposal.draw, Outcome.COMPLETE, (proposal.parameters["lora.r"],))
    assert sources.count("sampler") >= 8  # it repeated itself from the fifth trial on


def test_random_draws_replace_a_sampler_that_repeats_itself(
    six: FeasibleSpace,
) -> None:
    stubborn = optuna.samplers.PartialFixedSampler(
        {"lora.r": 4, "lora.bias": "all"}, optuna.samplers.RandomSampler(0)
    )
    sweep = Sweep(six)
    tried = sweep.run(4, sampler=stubborn)
    assert tried[0] == (4, "all")
    assert len(set(tried)) == 4
    refused = ({"lora.r": 4, "lora.bias": "all"}, ["duplicate"])
    assert sweep.refused == [refused] * (SAMPLER_ATTEMPTS * 3)  # before each of the other three


def test_a_resumed_study_that_covers_the_space_tries_each_configuration_once(
    six: FeasibleSpace,
) -> None:
    sweep = Sweep(six)
    first, rest = sweep.run(4), sweep.run(None)
    assert (len(first), len(rest)) == (4, 2)
    assert Counter(first + rest) == Counter(IN_ORDER)


def test_stepped_values_are_equal_up_to_rounding(feasible: Feasible) -> None:
    # Samplers say 0.1 + 2 * 0.1 = 0.30000000000000004, the list of combinations says 0.3.
    sweep = Sweep(feasible("lora.dropout=range(0.1,0.7,0.1)"))
    tried = sweep.run(5) + sweep.run(None)
    assert sorted(round(value, 3) for (value,) in tried) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@property_settings(deadline=None, derandomize=True, max_examples=15)
@given(
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    n_trials=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_no_configuration_is_ever_proposed_twice(
    feasible: Feasible, counts: list[int], n_trials: int, seed: int
) -> None:
    keys = ("lora.r", "training.batch_size")
    finite = feasible(*(f"{key}=range(1,{n + 1})" for key, n in zip(keys, counts, strict=False)))
    tried = Sweep(finite, seed).run(n_trials)
    assert finite.size is not None
    assert len(tried) == len(set(tried)) == min(n_trials, finite.size)


def test_duplicates_are_proposed_if_allowed(feasible: Feasible) -> None:
    sweep = Sweep(feasible("lora.r=4,8"))
    chosen = Proposals(
        OptunaSampler(optuna.samplers.RandomSampler(0), ["minimize"], sweep.feasible, []),
        sweep.feasible,
        [],
        [],
        6,
        lambda parameters, reasons: None,
        0,
        allow_duplicates=True,
    )
    assert len(list(chosen)) == 6


# What the trial scheduler proposes


def test_the_schedulers_proposal_is_preferred_if_it_may_run(feasible: Feasible) -> None:
    """The second is a duplicate and the third infeasible: the sampler proposes instead."""
    wanted = iter([{"lora.r": 5}, {"lora.r": 5}, {"lora.r": 9}, None])
    finite = feasible("lora.r=range(1,100)", constraints=["lora.r != 9"])
    sweep = Sweep(finite)
    proposals = sweep.proposals(4, of_scheduler=lambda: next(wanted))
    proposed = [(proposal.source, proposal.parameters["lora.r"]) for proposal in proposals]
    assert [source for source, _ in proposed] == ["scheduler", "sampler", "sampler", "sampler"]
    assert proposed[0] == ("scheduler", 5)
    assert [reasons for _, reasons in sweep.refused[:1]] == [["duplicate"]]
    assert ({"lora.r": 9}, ["lora.r != 9"]) in [(p, r) for p, r in sweep.refused]


# What is planned comes first


def test_initial_trials_come_first_and_count(six: FeasibleSpace) -> None:
    plan = [
        Planned({"lora.r": 16, "lora.bias": "all"}, "baseline"),
        Planned({"lora.r": 8}, "enqueued"),  # the bias is the sampler's
    ]
    sweep = Sweep(six)
    proposed = list(sweep.proposals(4, plan=plan))
    assert [one.source for one in proposed] == ["baseline", "enqueued", "sampler", "sampler"]
    assert dict(proposed[0].parameters) == {"lora.r": 16, "lora.bias": "all"}
    assert proposed[1].parameters["lora.r"] == 8
    assert len({tuple(one.parameters.values()) for one in proposed}) == 4


def test_an_enumerated_space_does_not_repeat_initial_trials(
    six: FeasibleSpace,
) -> None:
    plan = [Planned({"lora.r": 8, "lora.bias": "none"}, "baseline")]
    tried = Sweep(six).run(None, plan=plan)
    assert tried[0] == (8, "none")
    assert sorted(tried) == sorted(IN_ORDER)


def test_a_resumed_study_does_not_repeat_initial_trials(six: FeasibleSpace) -> None:
    plan = [Planned({"lora.r": 8, "lora.bias": "none"}, "baseline")]
    sweep = Sweep(six)
    first, rest = sweep.run(2, plan=plan), sweep.run(None, plan=plan)
    assert Counter(first + rest) == Counter(IN_ORDER)


# What a plan leaves open the sampler fills in: such a trial is the planned one all the same.
OPEN = [
    Planned({"lora.r": 8}, "enqueued"),
    Planned({"lora.r": 8, "lora.bias": "none"}, "enqueued"),
    Planned({"lora.r": 8}, "warm_start"),
]


def test_partial_initial_trials_run_once_however_often_the_study_resumes(
    continuous: FeasibleSpace,
) -> None:
    plan = [Planned({"lora.r": 8}, "enqueued"), Planned({"lora.r": 4}, "warm_start")]
    sweep = Sweep(continuous)
    for total in (1, 2, 4, 6):
        sweep.run(total, plan=plan)
    sources = [trial.user_attrs["source"] for trial in sweep.past]
    assert sources == ["enqueued", "warm_start", *["sampler"] * 4]
    assert [trial.params["lora.r"] for trial in sweep.past[:2]] == [8, 4]


def test_a_trial_matches_one_initial_trial_of_the_same_source(feasible: Feasible) -> None:
    space = feasible("lora.r=4,8", "lora.bias=none,all,lora_only", "lora.dropout=interval(0,0.1)")
    sweep = Sweep(space)
    sweep.run(1, plan=OPEN)
    rest = [one.source for one in sweep.proposals(5, plan=OPEN)]
    assert rest == ["enqueued", "warm_start", "sampler", "sampler"]


def test_initial_trials_of_another_driver_are_not_repeated(continuous: FeasibleSpace) -> None:
    plan = [Planned({"lora.r": 8}, "enqueued"), Planned({"lora.r": 4}, "enqueued")]
    there, here = Sweep(continuous), Sweep(continuous, seed=1)
    there.run(1, plan=plan)
    proposals = here.proposals(3, plan=plan)
    for _ in range(2):  # repeated news count once
        proposals.sync(there.past, remaining=2)
    rest = list(proposals)
    assert [one.source for one in rest] == ["enqueued", "sampler"]
    assert rest[0].parameters["lora.r"] == 4


# Continued studies


def test_n_trials_is_the_total_over_all_runs(continuous: FeasibleSpace) -> None:
    sweep = Sweep(continuous)
    assert [len(sweep.run(n_trials)) for n_trials in (4, 6, 6)] == [4, 2, 0]


@pytest.mark.parametrize("ends", [Outcome.FAILED, Outcome.DIVERGED, Outcome.RUNG])
def test_a_failed_or_stopped_trial_counts_and_is_not_repeated(
    ends: Outcome, six: FeasibleSpace
) -> None:
    sweep = Sweep(six)
    assert sweep.run(3, ends) != []
    assert len(set(sweep.run(None) + [tuple(t.params.values()) for t in sweep.past])) == 6


def test_interrupted_trials_do_not_use_up_the_budget(six: FeasibleSpace) -> None:
    sweep = Sweep(six)
    sweep.run(3, Outcome.INTERRUPTED)
    assert len(set(sweep.run(5))) == 5


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_no_configuration_of_a_continuous_space_runs_twice(continuous: FeasibleSpace) -> None:
    """The sampler repeats one configuration, and the study is resumed twice."""
    rate = "training.learning_rate"
    sweep = Sweep(continuous)
    for total in (3, 6, 9):
        sweep.refused.clear()
        stubborn = optuna.samplers.PartialFixedSampler(
            {"lora.r": 4, rate: 1e-4}, optuna.samplers.RandomSampler(0)
        )
        sweep.run(total, sampler=stubborn)
        # The draws at random that overrule it are not those from before it was continued.
        assert all(given == {"lora.r": 4, rate: 1e-4} for given, _ in sweep.refused)
    tried = [tuple(trial.params.values()) for trial in sweep.past]
    assert len(set(tried)) == len(tried) == 9
    twice = Sweep(continuous).run(3, sampler=stubborn, allow_duplicates=True)
    assert twice == [(4, 1e-4)] * 3


def test_a_continuous_key_with_one_value_holds_one_configuration(feasible: Feasible) -> None:
    assert Sweep(feasible("lora.dropout=interval(0.1,0.1)")).run(9) == [(0.1,)]


def test_the_same_seed_proposes_the_same(continuous: FeasibleSpace) -> None:
    assert Sweep(continuous).run(4) == Sweep(continuous).run(4)
    assert Sweep(continuous).run(4) != Sweep(continuous, seed=1).run(4)
