from typing import Any

import pytest
from omegaconf import OmegaConf

from ugro.config import Config, typed
from ugro.errors import UserError
from ugro.space.composition import can_be_set, lookup, parsed, unused_keys, without_hydra

from ..spaces import Feasible

SPACE = (
    "lora.r=4,8",
    "lora.target_modules='[q_proj,v_proj]',all-linear",
    "training.learning_rate=tag(log,interval(1e-5,1e-3))",
    "training.max_steps=null,10",
    "lora.bias=none,all",
)
GIVEN: dict[str, Any] = {
    "lora.r": 8,
    "lora.target_modules": "[q_proj,v_proj]",
    "training.learning_rate": 3e-4,
    "training.max_steps": None,
    "lora.bias": "all",
}


def test_the_composer_equals_hydra(feasible: Feasible) -> None:
    """The fast path equals Hydra's composition, types and resolved values included."""
    composer = feasible("model=tiny", *SPACE).composer
    composer.compose({**GIVEN, "lora.r": 4, "lora.bias": "none"})  # what was there before is gone
    quick = without_hydra(composer.compose(GIVEN))
    overrides = [f"{key}={'null' if value is None else value}" for key, value in GIVEN.items()]
    slow = composer._loader.load_sweep_config(composer._master, ["model=tiny", *overrides])
    slow.study.name = quick.study.name  # made of the time
    assert typed(quick) == typed(without_hydra(slow))
    assert isinstance(typed(quick), Config)
    assert lookup(quick, "lora.alpha") == 16.0  # follows r


def test_an_inactive_key_is_as_configured(feasible: Feasible) -> None:
    composer = feasible(*SPACE).composer
    own = lookup(composer.compose({}), "lora.r")
    assert lookup(composer.compose({"lora.r": 4}), "lora.r") == 4
    assert lookup(composer.compose({}), "lora.r") == own
    assert lookup(composer.compose({"lora.bias": "all"}), "lora.r") == own


def test_a_whole_group_is_composed(feasible: Feasible) -> None:
    composer = feasible("model=tiny,smollm2_135m", "lora.r=4,8").composer
    for _ in range(2):
        tiny = lookup(composer.compose({"model": "tiny", "lora.r": 4}), "model.random_llama")
        assert tiny is not None
        real = composer.compose({"model": "smollm2_135m", "lora.r": 8})
        assert lookup(real, "model.random_llama") is None
        assert lookup(real, "lora.r") == 8


def test_wrong_types_are_reported_one_per_line(feasible: Feasible) -> None:
    composer = feasible("lora.r=a,8", "lora.bias=some,none").composer
    with pytest.raises(UserError) as error:
        composer.compose({"lora.r": "a", "lora.bias": "some"})
    assert [line.partition(" given")[0] for line in str(error.value).splitlines()] == [
        "lora.r: 'a'",
        "lora.bias: 'some'",
    ]


def test_values_are_looked_up_as_python_objects(feasible: Feasible) -> None:
    config = feasible("model=tiny").composer.compose({})
    assert lookup(config, "lora.bias") == "none"
    assert lookup(config, "model.linear_modules")[0] == "q_proj"  # type: ignore[index]
    assert isinstance(lookup(config, "model.linear_modules"), list)
    assert lookup(config, "training.max_tokens") is None


@pytest.mark.parametrize(
    ("choice", "value"),
    [("[q_proj,v_proj]", ["q_proj", "v_proj"]), ("all-linear", "all-linear"), (8, 8), (None, None)],
)
def test_choices_are_parsed_like_the_command_line(choice: object, value: object) -> None:
    assert parsed(choice) == value


def test_numbers_and_bools_are_distinct() -> None:
    given = [1, 1.0, True, 0, 0.0, False, "1", "1.0", "true"]
    assert [repr(parsed(one)) for one in given] == [*map(repr, given[:6]), "1", "1.0", "True"]


def test_the_hydra_node_is_removed_from_a_copy(feasible: Feasible) -> None:
    config = feasible().composer.compose({})
    assert "hydra" not in without_hydra(config)
    assert OmegaConf.select(config, "hydra.sweep.dir") is not None


RATIO = "lora.alpha_ratio=0.5,1,2"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["lora.alpha=32"], "lora.alpha is set explicitly"),
        (["lora.alpha=16,32"], "lora.alpha is searched, too"),
        ([], None),
        (["lora.r=8", "lora.alpha=${lora.alpha_ratio}"], None),
    ],
)
def test_an_unused_ratio_is_found(
    arguments: list[str], why: str | None, feasible: Feasible
) -> None:
    of = feasible(RATIO, "lora.dropout=0,0.1", *arguments)
    found = unused_keys(of.space, of.composer.compose({}))
    assert found == ({} if why is None else {"lora.alpha_ratio": why})


def test_a_ratio_read_by_a_condition_is_searched(feasible: Feasible) -> None:
    conditions = {"lora.dropout": "lora.alpha_ratio > 1"}
    of = feasible(RATIO, "lora.dropout=0,0.1", "lora.alpha=32", conditions=conditions)
    assert unused_keys(of.space, of.composer.compose({})) == {}


def test_keys_of_an_open_mapping_can_be_set(feasible: Feasible) -> None:
    config = feasible("lora.r=4,8").composer.compose({})
    for key in ("lora.r", "training.max_steps", "training.lr_scheduler_kwargs.num_cycles"):
        assert can_be_set(config, key)
    for key in ("lora.rank", "training.no", "no.such"):
        assert not can_be_set(config, key)


@pytest.mark.parametrize("shared", ["training.learning_rate=1e-3", "training.learning_rate=1,2"])
def test_learning_rates_of_adapters_are_unused_beside_the_shared_one(
    shared: str, feasible: Feasible
) -> None:
    of = feasible("adapter=vera", "vera.learning_rate=1,2", "vera.r=4,8", shared)
    found = unused_keys(of.space, of.composer.compose({}))
    assert found == {"vera.learning_rate": "training.learning_rate is set"}


def test_a_shared_learning_rate_under_a_condition_leaves_adapters_their_own(
    feasible: Feasible,
) -> None:
    conditions = {
        "training.learning_rate": "adapter == 'lora'",
        "vera.learning_rate": "adapter == 'vera'",
    }
    keys = ("adapter=lora,vera", "training.learning_rate=1,2", "vera.learning_rate=1,2")
    of = feasible(*keys, conditions=conditions)
    assert unused_keys(of.space, of.composer.compose({})) == {}
    assert of.composer.compose({"adapter": "lora"}).training.learning_rate == 2e-4
    vera = {"adapter": "vera", "vera.learning_rate": 1}
    assert of.composer.compose(vera).training.learning_rate == 1


def test_patterns_of_another_trial_are_replaced(feasible: Feasible) -> None:
    of = feasible("lora.rank_pattern={q_proj:2},{k_proj:4}", "lora.r=4,8")
    first, second = of.space.distributions["lora.rank_pattern"].choices
    assert of.composer.compose({"lora.rank_pattern": first}).lora.rank_pattern == {"q_proj": 2}
    assert of.composer.compose({"lora.rank_pattern": second}).lora.rank_pattern == {"k_proj": 4}
