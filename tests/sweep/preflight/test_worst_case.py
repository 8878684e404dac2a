from tests.spaces import Feasible
from ugro.sweep.preflight.worst_case import MAX_CANDIDATES, candidates

RATE = "training.learning_rate=interval(1e-4,1e-3)"


def test_candidates_have_maximal_numbers_with_each_choice(feasible: Feasible) -> None:
    space = feasible(RATE, "lora.r=4,32,8", "lora.use_dora=true,false")
    found = candidates(space, [])
    assert len(found) == 2
    assert all(one["training.learning_rate"] == 1e-3 and one["lora.r"] == 32 for one in found)
    assert {str(one["lora.use_dora"]).lower() for one in found} == {"true", "false"}


def test_samples_replace_infeasible_candidates(feasible: Feasible) -> None:
    space = feasible("lora.r=4,8,16", constraints=["lora.r < 16"])
    assert candidates(space, [{"lora.r": 8}, {"lora.r": 4}]) == [{"lora.r": 8}, {"lora.r": 4}]


def test_candidates_omit_inactive_keys(feasible: Feasible) -> None:
    conditions = {"lora.dropout": "lora.r >= 64"}
    space = feasible("lora.r=4,8", "lora.dropout=0,0.1", conditions=conditions)
    assert candidates(space, []) == [{"lora.r": 8}]


def test_each_adapter_is_a_candidate_with_its_own_largest_values(feasible: Feasible) -> None:
    conditions = {"lora.r": "adapter == 'lora'", "vera.r": "adapter == 'vera'"}
    space = feasible("adapter=lora,vera", "lora.r=4,8", "vera.r=16,32", conditions=conditions)
    found = candidates(space, [])
    assert [dict(one) for one in found] == [
        {"adapter": "lora", "lora.r": 8},
        {"adapter": "vera", "vera.r": 32},
    ]


def test_the_number_of_candidates_is_limited_and_positive(feasible: Feasible) -> None:
    names = "training.lr_scheduler_type=linear,cosine,constant"
    many = feasible(
        names, "lora.use_dora=true,false", "lora.use_rslora=true,false", "lora.bias=none,all"
    )
    assert len(candidates(many, [])) == MAX_CANDIDATES
    assert candidates(feasible(), []) == [{}]
