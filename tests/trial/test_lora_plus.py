"""LoRA+: the learning rates are those of PEFT's own function."""

from collections.abc import Callable
from pathlib import Path

import torch
from peft.optimizers import create_loraplus_optimizer
from torch.optim import Optimizer
from transformers import TrainingArguments

from ugro.config import Config
from ugro.trial.lora_plus import lora_plus_optimizer
from ugro.trial.model.adapter import adapted
from ugro.trial.model.base_models import load

Settings = Callable[..., Config]


def rates(model: torch.nn.Module, optimizer: Optimizer) -> dict[str, tuple[float, float]]:
    """Map each trained parameter to its learning rate and weight decay."""
    of = {
        id(one): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for one in group["params"]
    }
    return {name: of[id(one)] for name, one in model.named_parameters() if one.requires_grad}


def test_b_learns_faster_than_a_as_in_peft(settings: Settings, tmp_path: Path) -> None:
    config = settings("model=tiny", "lora.modules_to_save=[lm_head]")
    arguments = TrainingArguments(str(tmp_path), learning_rate=1e-3, weight_decay=0.1)
    with adapted(load(config.model, torch.float32, tmp_path), config.lora) as model:
        optimizer = lora_plus_optimizer(model, arguments, 16)
        found = rates(model, optimizer)
        of_peft = create_loraplus_optimizer(
            model, torch.optim.AdamW, lr=1e-3, loraplus_lr_ratio=16, loraplus_weight_decay=0.1
        )
        assert found == rates(model, of_peft)
    assert type(optimizer) is torch.optim.AdamW
    for name, (rate, _) in found.items():
        assert rate == (16e-3 if "lora_B" in name else 1e-3), name


def test_an_adapter_of_an_embedding_has_the_rate_of_a(settings: Settings, tmp_path: Path) -> None:
    config = settings("model=tiny", "lora.target_modules=[embed_tokens]")
    arguments = TrainingArguments(str(tmp_path), learning_rate=1e-3)
    with adapted(load(config.model, torch.float32, tmp_path), config.lora) as model:
        found = rates(model, lora_plus_optimizer(model, arguments, 4))
    assert {rate for rate, _ in found.values()} == {1e-3}
