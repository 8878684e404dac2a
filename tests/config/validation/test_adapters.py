"""Impossible values of an adapter's keys are one line each."""

from collections.abc import Callable
from dataclasses import fields

import pytest
from omegaconf import MISSING, OmegaConf

from ugro.config import ADAPTERS, Adapter, Config
from ugro.config.validation.validation import validate
from ugro.errors import UserError

from ...conftest import ROOT

Settings = Callable[..., Config]
HALF = "adalora.warmup_ratio=0.5 adalora.final_ratio=0.5"


def test_every_adapter_is_an_option_with_keys_of_its_own() -> None:
    assert [one.name for one in Adapter] == list(ADAPTERS)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ("adapter=vera vera.r=0", "vera.r: 0 given, allowed: 1 or more"),
        ("adapter=vera vera.dropout=1", "vera.dropout: 1.0 given, allowed: 0 or more, below 1"),
        ("adapter=vera vera.d_initial=0", "vera.d_initial: 0.0 given, allowed: above 0"),
        ("adapter=oft oft.target_modules=[c_attn]", "oft.target_modules: 'c_attn' given, allowed"),
        ("adapter=lokr lokr.decompose_factor=-2", "lokr.decompose_factor: -2 given, allowed: -1"),
        ("adapter=adalora adalora.target_r=12", "adalora.target_r: 12 given, allowed: below adal"),
        (f"adapter=adalora {HALF}", "adalora.final_ratio: 0.5 given, allowed: below 0.5"),
        ("adapter=hra hra.r=3", "hra.r: 3 given, allowed: an even number"),
        ("adapter=gralora gralora.r=9", "gralora.r: 9 given, allowed: a multiple of gralora.k=2"),
        ("lora.eva_rho=0.5", "lora.eva_rho: 0.5 given, allowed: 1 or more"),
        ("lora.loraplus_lr_ratio=0.5", "lora.loraplus_lr_ratio: 0.5 given, allowed: 1 or more"),
        ("lora.rank_pattern={q_proj: 0}", "lora.rank_pattern.q_proj: 0 given, allowed: 1 or more"),
        ("lora.alpha_pattern={q_proj: 0}", "lora.alpha_pattern.q_proj: 0.0 given, allowed: above"),
        ("lora.layers_to_transform=[]", "lora.layers_to_transform: [] given, allowed: null, or"),
        ("lora.layers_to_transform=[-1]", "lora.layers_to_transform: -1 given, allowed: 0 or mo"),
    ],
)
def test_an_impossible_value_is_one_line(overrides: str, line: str, settings: Settings) -> None:
    asked = overrides.replace(": ", ":").split()
    with pytest.raises(UserError) as error:
        validate(settings("model=tiny", *asked))
    assert str(error.value).startswith(line)
    assert len(str(error.value).splitlines()) == 1


def test_a_pattern_that_is_no_regular_expression_is_told(settings: Settings) -> None:
    config = settings("model=tiny")
    config.lora.rank_pattern = {"(q_proj": 2}
    with pytest.raises(UserError, match=r"^lora\.rank_pattern: '\(q_proj' given, .*unterminated"):
        validate(config)


def test_an_adapter_without_its_option_is_told(settings: Settings) -> None:
    config = settings("model=tiny")
    config.adapter = Adapter.vera  # as an experiment may set it
    with pytest.raises(UserError, match=r"^vera: None given, allowed: its keys, .* adapter=vera"):
        validate(config)


def test_keys_of_lora_do_not_matter_beside_another_adapter(settings: Settings) -> None:
    config = settings("model=tiny", "adapter=vera")
    config.lora.r = 0
    validate(config)


def test_the_learning_rate_is_the_adapters_unless_it_is_set(settings: Settings) -> None:
    own = ("model=tiny", "adapter=vera", "vera.learning_rate=0.5")
    assert settings(*own).training.learning_rate == 0.5
    assert settings(*own, "training.learning_rate=0.25").training.learning_rate == 0.25


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_option_chooses_an_adapter_and_has_all_its_keys(name: str) -> None:
    option = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "adapter" / f"{name}.yaml"))
    assert isinstance(option, dict)
    assert option.pop("adapter") == name
    if name == "lora":
        assert option == {}
        return
    assert option["training"] == {"learning_rate": f"${{{name}.learning_rate}}"}
    required = {one.name for one in fields(ADAPTERS[name]) if one.default == MISSING}
    assert required <= option[name].keys()
