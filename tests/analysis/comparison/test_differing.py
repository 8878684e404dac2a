from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optuna.distributions import CategoricalDistribution

from tests.studies import in_memory
from ugro.analysis.comparison.differing import differing, of_another_task
from ugro.analysis.tables import Tables, tables_of


def study(
    configuration: Mapping[str, Any],
    *overrides: str,
    searched: Mapping[str, tuple[Any, ...]] | None = None,
    **provenance: str,
) -> Tables:
    over = {key: CategoricalDistribution(choices) for key, choices in (searched or {}).items()}
    return replace(
        tables_of(in_memory()),
        configuration=configuration,
        overrides=overrides,
        searched=over,
        provenance=provenance,
    )


def test_what_is_the_same_in_all_is_left_out() -> None:
    one = study({"study": {"name": "a"}, "lora": {"r": 8, "dropout": 0.0}, "seed": 1})
    other = study({"study": {"name": "b"}, "lora": {"r": 16, "dropout": 0.0}, "seed": 1})
    assert differing([one, other]) == {"lora.r": ("8", "16")}
    assert differing([one, one]) == {}


def test_what_was_searched_stands_in_place_of_what_was_configured() -> None:
    one = study({"lora": {"r": 8}}, searched={"lora.r": (4, 8)})
    other = study({"lora": {"r": 8}})
    assert differing([one, other]) == {"lora.r": ("from 4, 8", "8")}


def test_the_sampler_is_one_of_hydras_overrides() -> None:
    one = study({"seed": 1}, "hydra/sweeper/sampler=random", "lora.r=1,2")
    other = study({"seed": 1})
    assert differing([one, other]) == {"hydra/sweeper/sampler": ("random", "default")}


def test_schedulers_have_keys_of_their_own() -> None:
    one = study({"scheduler": {"_target_": "asha", "grace_period": 0.5}})
    other = study({"scheduler": {"_target_": "none"}})
    assert differing([one, other]) == {
        "scheduler._target_": ("asha", "none"),
        "scheduler.grace_period": ("0.5", "none"),
    }


def test_another_programs_study_tells_only_what_it_searched() -> None:
    ours = study({"lora": {"r": 8}, "seed": 1}, searched={"lora.r": (4, 8)}, torch="2")
    theirs = study({}, searched={"lora.alpha": (1, 2)})
    assert differing([ours, theirs]) == {
        "lora.r": ("from 4, 8", "not searched"),
        "lora.alpha": ("none", "from 1, 2"),
    }


def test_another_model_or_other_data_make_values_incomparable() -> None:
    one = study({"model": {"path": "a"}, "lora": {"r": 8}})
    other = study({"model": {"path": "b"}, "lora": {"r": 4}})
    assert of_another_task(differing([one, other])) == ["model.path"]
