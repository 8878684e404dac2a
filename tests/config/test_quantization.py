"""Impossible quantisations, and what a study's definition says about them."""

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from ugro.config import Config
from ugro.config.validation.validation import validate
from ugro.errors import UserError
from ugro.space.comparability import check_comparable
from ugro.trial.checkpoints import hash_training
from ugro.trial.model.base_models import load

from ..conftest import QUICK

Settings = Callable[..., Config]
DATA = {"train_data": "a", "eval_data": "b", "test_data": "c"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            ["quantization=bnb_int8", "quantization.double_quantization=false"],
            "quantization.double_quantization: False given, allowed: true with bnb_int8",
        ),
        (
            ["quantization=bnb_int8", "quantization.compute_dtype=bf16"],
            "quantization.compute_dtype: 'bf16' given, allowed: auto with bnb_int8",
        ),
        (
            ["quantization=bnb_nf4", "lora.init_lora_weights=pissa"],
            "lora.init_lora_weights: 'pissa' given, allowed: true, false, gaussian with "
            "quantization.method=bnb_nf4",
        ),
        (
            ["quantization=bnb_int8", "lora.use_dora=true"],
            "lora.use_dora: True given, allowed: false with quantization.method=bnb_int8",
        ),
    ],
)
def test_an_impossible_quantisation_is_told_in_one_line(
    asked: list[str], said: str, settings: Settings
) -> None:
    pytest.importorskip("bitsandbytes")
    with pytest.raises(UserError) as error:
        validate(settings("model=tiny", *asked))
    assert str(error.value) == said


def test_a_missing_library_is_told_with_the_command_that_installs_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ugro.config.quantization.find_spec",
        lambda name: None if name == "bitsandbytes" else find_spec(name),
    )
    with pytest.raises(UserError) as error:
        validate(settings("model=tiny", "quantization=bnb_nf4"))
    said = "quantization.method: bnb_nf4 needs bitsandbytes: pip install 'ugro[bnb]'"
    assert str(error.value) == said
    config = settings("model=tiny", "quantization=bnb_nf4")
    with pytest.raises(UserError, match=re.escape(said)):  # as commands do that load a trial
        load(config.model, torch.float32, Path(), quantization=config.quantization)


def test_trainings_on_other_quantised_bases_are_others(settings: Settings) -> None:
    of_bases = (
        ["quantization=none"],
        ["quantization=bnb_nf4"],
        ["quantization=bnb_int8"],
        ["quantization=bnb_nf4", "quantization.double_quantization=false"],
    )
    named = {hash_training(settings("model=tiny", *QUICK, *one), DATA) for one in of_bases}
    assert len(named) == 4


def test_a_search_among_quantisations_compares_losses_but_not_dpos(settings: Settings) -> None:
    for key in ("quantization", "quantization.method"):
        check_comparable([key], settings("model=tiny"))
        with pytest.raises(UserError, match=rf"^{key}: 'a sweep' given, .* relative to each base"):
            check_comparable([key], settings("model=tiny", "task=dpo"))
