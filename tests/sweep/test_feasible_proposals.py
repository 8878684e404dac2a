"""Proposals within constraints and conditions."""

import optuna
import pytest

from ugro.sweep.initial_trials import Planned
from ugro.sweep.proposals import SAMPLER_ATTEMPTS

from ..spaces import Feasible
from .proposing import CONTINUOUS, IN_ORDER, SIX, Sweep

# Constraints


def test_a_finite_space_is_enumerated_within_the_constraints(feasible: Feasible) -> None:
    tried = Sweep(feasible(*SIX, constraints=["lora.r <= 8"])).run(None)
    assert tried == IN_ORDER[:4]


def test_an_infeasible_proposal_is_rejected_and_drawn_again(feasible: Feasible) -> None:
    sweep = Sweep(feasible(*CONTINUOUS, constraints=["training.learning_rate <= 1e-4"]))
    tried = sweep.run(8)
    assert len(tried) == 8  # the refused ones do not count
    assert all(rate <= 1e-4 for _, rate in tried)
    assert sweep.refused
    assert all(reasons == ["training.learning_rate <= 1e-4"] for _, reasons in sweep.refused)
    assert all(given["training.learning_rate"] > 1e-4 for given, _ in sweep.refused)


def test_the_sampler_learns_from_rejections(feasible: Feasible) -> None:
    """Half of the log range is infeasible, so random draws are rejected every second time."""
    limited = feasible(*CONTINUOUS, constraints=["training.learning_rate <= 1e-4"])
    sweep = Sweep(limited)
    tpe = optuna.samplers.TPESampler(seed=0, multivariate=True, n_startup_trials=5)
    sweep.run(40, sampler=tpe)
    assert len(sweep.refused) < 20


def test_random_draws_replace_a_sampler_of_infeasible_proposals(feasible: Feasible) -> None:
    sweep = Sweep(feasible(*CONTINUOUS, constraints=["lora.r > 4"]))
    fixed = optuna.samplers.PartialFixedSampler({"lora.r": 4}, optuna.samplers.RandomSampler(0))
    tried = sweep.run(2, sampler=fixed)
    assert [r for r, _ in tried] == [8, 8]
    assert len(sweep.refused) == 2 * SAMPLER_ATTEMPTS


def test_a_huge_constrained_space_is_given_up_instead_of_listed(
    feasible: Feasible, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ugro.sweep.proposals.RANDOM_ATTEMPTS", 5)
    huge = feasible("lora.r=range(1,2000001)", constraints=["lora.r <= 2"])
    first = Planned({"lora.r": 1}, "enqueued")
    assert Sweep(huge).run(3, plan=[first]) == [(1,)]
    assert "No untried configuration found: 5 random draws failed" in caplog.text


def test_the_last_configuration_of_a_listable_space_is_found(feasible: Feasible) -> None:
    small = feasible("lora.r=range(1,1001)", constraints=["lora.r >= 999"])
    assert sorted(Sweep(small).run(2)) == [(999,), (1000,)]


# Branches


def test_a_key_is_searched_only_where_its_condition_holds(feasible: Feasible) -> None:
    branches = feasible(
        "lora.r=32,64",
        "lora.use_rslora=true,false",
        conditions={"lora.use_rslora": "lora.r >= 64"},
    )
    tried = [dict(one.parameters) for one in Sweep(branches).proposals(None)]
    assert tried == [
        {"lora.r": 32},
        {"lora.r": 64, "lora.use_rslora": True},
        {"lora.r": 64, "lora.use_rslora": False},
    ]


def test_a_sampler_draws_within_branches(feasible: Feasible) -> None:
    branches = feasible(
        "lora.r=32,64",
        "training.learning_rate=tag(log,interval(1e-5,1e-3))",
        "lora.dropout=interval(0,0.1)",
        conditions={"lora.dropout": "lora.r >= 64"},
    )
    for name in ("RandomSampler", "TPESampler"):
        sampler = getattr(optuna.samplers, name)(seed=0)
        sweep = Sweep(branches)
        found = [dict(one.parameters) for one in sweep.proposals(12, sampler=sampler)]
        assert all(("lora.dropout" in one) == (one["lora.r"] == 64) for one in found)
        assert {one["lora.r"] for one in found} == {32, 64}
