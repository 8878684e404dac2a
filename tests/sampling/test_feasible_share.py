import pytest

from tests.spaces import Feasible
from ugro.errors import UserError
from ugro.sampling.feasible_share import SAMPLES, check_satisfiable, estimate_feasibility

RATE = "training.learning_rate=tag(log,interval(1e-5,1e-3))"


def test_it_counts_what_each_constraint_removes(feasible: Feasible) -> None:
    space = feasible(
        RATE, "lora.r=4,8,16,32", constraints=["training.learning_rate <= 1e-4", "lora.r <= 16"]
    )
    found = estimate_feasibility(space, seed=0)
    assert found.samples == SAMPLES
    # Half of the log range and a quarter of the ranks.
    assert found.removed["training.learning_rate <= 1e-4"] == pytest.approx(500, abs=60)
    assert found.removed["lora.r <= 16"] == pytest.approx(250, abs=50)
    assert len(found.kept) == pytest.approx(375, abs=60)
    assert found.shares()[0] == "training.learning_rate <= 1e-4 removes 48.6% of 1,000 samples"


def test_an_infeasible_space_reports_the_share_of_each_constraint(feasible: Feasible) -> None:
    impossible = feasible(RATE, "lora.r=4,8", constraints=["lora.r > 8", "lora.r < 8"])
    with pytest.raises(UserError) as error:
        check_satisfiable(impossible, seed=0)
    lines = str(error.value).splitlines()
    assert lines[0] == "constraints.expressions exclude the entire search space"
    assert lines[1] == "lora.r > 8 removes 100.0% of 1,000 samples"
    assert lines[2].startswith("lora.r < 8 removes ")


def test_an_infeasible_finite_space_reports_shares(feasible: Feasible) -> None:
    with pytest.raises(UserError, match=r"removes 100\.0% of 1,000 samples"):
        check_satisfiable(feasible("lora.r=4,8", constraints=["lora.r > 8"]), seed=0)


def test_a_single_feasible_configuration_suffices(feasible: Feasible) -> None:
    check_satisfiable(feasible("lora.r=range(1,500)", constraints=["lora.r == 77"]), seed=0)
    check_satisfiable(feasible(RATE, constraints=["training.learning_rate <= 9e-4"]), seed=0)
    check_satisfiable(feasible(RATE), seed=0)


def test_samples_respect_conditions(feasible: Feasible) -> None:
    space = feasible(
        RATE, "lora.r=4,64", "lora.dropout=0,0.1", conditions={"lora.dropout": "lora.r >= 64"}
    )
    kept = estimate_feasibility(space, seed=0, enough=50).kept
    assert len(kept) == 50
    assert all(("lora.dropout" in one) == (one["lora.r"] == 64) for one in kept)
