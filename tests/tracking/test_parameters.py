from typing import Any

import pytest

from ugro.tracking.parameters import is_shown, parameters_of

CONFIGURATION: dict[str, Any] = {
    "study": {"name": "s"},
    "seed": 42,
    "lora": {
        "r": 16,
        "alpha": "${multiply:${lora.r},2}",
        "target_modules": ["q_proj", "v_proj"],
        "modules_to_save": None,
        "use_dora": False,
    },
    "model": {"path": "tiny", "random_llama": {"seed": 0}},
    "data": {"train_files": []},
    "hydra": {"sweeper": {"storage": "sqlite:///s.db"}},
    "tracking": {"mlflow": {"uri": "http://h"}},
}


def test_parameters_that_affect_results_are_flat_and_resolved() -> None:
    assert parameters_of(CONFIGURATION, {"lora.r": 8}) == {
        "seed": "42",
        "lora.r": "8",
        "lora.alpha": "16",
        "lora.target_modules": "[q_proj,v_proj]",
        "lora.use_dora": "false",
        "model.path": "tiny",
        "model.random_llama.seed": "0",
    }


def test_only_the_chosen_adapters_keys_are_shown() -> None:
    vera = {"adapter": "vera", "vera": {"r": 256}, "oft": None}
    found = parameters_of({**CONFIGURATION, **vera}, {"vera.r": 8})
    shown = {key: found[key] for key in found if key.startswith(("adapter", "lora", "vera", "oft"))}
    assert shown == {"adapter": "vera", "vera.r": "8"}
    of_a_searched_one = parameters_of(
        {**CONFIGURATION, "adapter": "lora", "vera": None}, {"adapter": "vera", "vera.r": 8}
    )
    assert of_a_searched_one["vera.r"] == "8"
    assert "lora.r" not in of_a_searched_one


def test_a_quantisation_is_shown_if_there_is_one() -> None:
    given = {"method": "bnb_nf4", "double_quantization": True, "compute_dtype": "auto"}

    def shown(section: dict[str, Any], own: dict[str, Any]) -> dict[str, str]:
        found = parameters_of({**CONFIGURATION, "quantization": section}, own)
        return {key: found[key] for key in found if key.startswith("quantization")}

    assert shown(given, {}) == {
        "quantization.method": "bnb_nf4",
        "quantization.double_quantization": "true",
        "quantization.compute_dtype": "auto",
    }
    none = {**given, "method": "none"}
    assert shown(none, {}) == {}
    assert shown(none, {"quantization": "bnb_int8"}) == {"quantization": "bnb_int8"}
    assert shown(none, {"quantization.method": "bnb_int8"})["quantization.method"] == "bnb_int8"
    assert is_shown("quantization=bnb_nf4")


def test_a_chosen_group_is_shown_by_its_name() -> None:
    found = parameters_of(CONFIGURATION, {"model": "smollm2_135m"})
    assert {key: found[key] for key in found if key.startswith("model")} == {
        "model": "smollm2_135m"
    }


@pytest.mark.parametrize(
    "written",
    ["${oc.env:TOKEN}", "a/${oc.env:TOKEN}/b", "${oc.decode:${oc.env:TOKEN}}", "${ oc.env:TOKEN}"],
)
def test_environment_variables_stay_as_written(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "xyzzy")
    data = {"path": written, "subset": "${data.path}", "train_files": [written]}
    found = parameters_of({"data": data}, {})
    assert found == {
        "data.path": written,
        "data.subset": written,
        "data.train_files": f"[{written}]",
    }


def test_unresolvable_values_stay_as_written() -> None:
    data = {"path": "${hydra:job.num}", "subset": "${nowhere}", "source": "text"}
    assert parameters_of({"data": data}, {}) == {f"data.{key}": data[key] for key in data}


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("lora.r=8,16", True),
        ("model=tiny", True),
        ("experiment=quickstart", True),
        ("data.columns.text=t", True),
        ("hydra.sweeper.storage=x", False),
        ("study.artifacts=s3://b", False),
        ("tracking.mlflow.uri=http://h", False),
        ("loras=1", False),
    ],
)
def test_overrides_of_shown_values_are_shown(override: str, shown: bool) -> None:
    assert is_shown(override) is shown
