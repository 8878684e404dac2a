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


def test_parameters_are_what_numbers_depend_on_flat_and_resolved() -> None:
    assert parameters_of(CONFIGURATION, {"lora.r": 8}) == {
        "seed": "42",
        "lora.r": "8",
        "lora.alpha": "16",
        "lora.target_modules": "[q_proj,v_proj]",
        "lora.use_dora": "false",
        "model.path": "tiny",
        "model.random_llama.seed": "0",
    }


def test_of_a_group_that_a_trial_has_chosen_only_the_choice_is_known() -> None:
    found = parameters_of(CONFIGURATION, {"model": "smollm2_135m"})
    assert {key: found[key] for key in found if key.startswith("model")} == {
        "model": "smollm2_135m"
    }


@pytest.mark.parametrize(
    "written",
    ["${oc.env:TOKEN}", "a/${oc.env:TOKEN}/b", "${oc.decode:${oc.env:TOKEN}}", "${ oc.env:TOKEN}"],
)
def test_what_the_environment_holds_stays_as_it_is_written(
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


def test_what_cannot_be_resolved_here_stays_as_it_is_written() -> None:
    data = {"path": "${hydra:job.num}", "subset": "${nowhere}", "source": "text"}
    assert parameters_of({"data": data}, {}) == {f"data.{key}": data[key] for key in data}


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("lora.r=8,16", True),
        ("model=tiny", True),
        ("experiment=quickstart", True),
        ("+data.text_column=t", True),
        ("hydra.sweeper.storage=x", False),
        ("study.artifacts=s3://b", False),
        ("tracking.mlflow.uri=http://h", False),
        ("loras=1", False),
    ],
)
def test_overrides_are_shown_where_they_set_what_is_shown(override: str, shown: bool) -> None:
    assert is_shown(override) is shown
