"""AdaLoRA: ranks shrink to the target, and the penalty is PEFT's."""

import json
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch

from ugro.config import Config, adapter_of
from ugro.trial.adaptive_ranks import rank_penalty
from ugro.trial.model.adapter import adapted
from ugro.trial.model.base_models import load

from ..conftest import QUICK
from .conftest import Run
from .test_adapters import check

Settings = Callable[..., Config]


def test_the_saved_ranks_are_the_target_on_average_and_the_others_are_dropped(
    run: Run, settings: Settings, cache_dir: Path
) -> None:
    asked = ("adapter=adalora", "adalora.init_r=6", "adalora.target_r=2")
    asked = (*asked, "training.max_steps=8", "training.eval_steps=8")
    result, folder = run(*asked)
    saved = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    ranks = [sum(kept) for kept in saved["rank_pattern"].values()]
    assert len(ranks) == 14  # two layers of seven modules
    assert sum(ranks) == 2 * 14
    assert 0 in ranks
    check(result, folder, settings(*QUICK, *asked), cache_dir)
    assert (saved["total_step"], saved["tinit"], saved["tfinal"]) == (8, 0, 1)
    weights = peft.load_peft_weights(str(folder / "adapter"))
    assert sum(len(one) for name, one in weights.items() if name.endswith("lora_E")) == 2 * 14


def test_the_penalty_is_what_peft_adds_to_a_models_own_loss(settings: Settings) -> None:
    config = settings("model=tiny", "adapter=adalora", "adalora.orth_reg_weight=0.3")
    base = load(config.model, torch.float32, Path())
    ids = torch.arange(64).reshape(2, 32)
    with adapted(base, adapter_of(config)) as model:
        plain = model.get_base_model()(input_ids=ids, labels=ids).loss
        of_peft = model(input_ids=ids, labels=ids).loss - plain
        penalty = rank_penalty(model)
        assert isinstance(penalty, torch.Tensor)
        assert penalty.item() == pytest.approx(of_peft.item(), rel=1e-4)
        penalty.backward()
        assert all(
            one.grad is not None for name, one in model.named_parameters() if "lora_A" in name
        )


def test_other_adapters_have_no_penalty(settings: Settings) -> None:
    config = settings("model=tiny")
    with adapted(load(config.model, torch.float32, Path()), config.lora) as model:
        assert rank_penalty(model) == 0
