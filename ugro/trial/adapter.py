"""How does the adapter get onto the base model, and off again without a trace?"""

from collections.abc import Iterator
from contextlib import contextmanager

import peft
import torch
from torch import nn

from ugro.config import LoraConfig
from ugro.errors import UserError, fault
from ugro.trial.models import BaseModel, forget

# Initialisations that subtract the adapter's start from the base weights.
REWRITES_BASE = ("pissa", "olora")


@contextmanager
def adapted(base: BaseModel, config: LoraConfig) -> Iterator[peft.PeftModel]:
    """The base model with a new adapter; on leaving, the base model as it was before.

    What cannot be put back (an initialisation that rewrites the base weights, an adapter or a trial
    that failed half way) makes the process forget the base model instead.

    Raises:
        UserError: ``lora.target_modules`` or ``modules_to_save`` name modules the model lacks.
    """
    check_modules(base.model, config)
    try:
        with _injected(base, config) as model:
            yield model
    except BaseException:
        forget()
        raise
    if str(config.init_lora_weights).startswith(REWRITES_BASE):
        forget()


@contextmanager
def _injected(base: BaseModel, config: LoraConfig) -> Iterator[peft.PeftModel]:
    use_cache = base.model.config.use_cache
    model = peft.get_peft_model(base.model, peft_config(config))
    trained_in_place = {  # lora.bias trains biases of the base model itself
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and _belongs_to_base(name)
    }
    yield model
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in trained_in_place:
                parameter.copy_(trained_in_place[name])
    base.model.activation_checkpointing_disable()
    base.model.config.use_cache = use_cache
    model.delete_adapter("default")  # else unload() leaves the trained modules_to_save in
    base.model = model.unload()
    base.model.requires_grad_(False)


def peft_config(config: LoraConfig) -> peft.LoraConfig:
    """The adapter in PEFT's own class."""
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=config.r,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.target_modules,
        bias=config.bias.name,
        modules_to_save=config.modules_to_save,
        use_rslora=config.use_rslora,
        use_dora=config.use_dora,
        init_lora_weights=config.init_lora_weights,
    )


def check_modules(model: nn.Module, config: LoraConfig) -> None:
    """PEFT wants one match among all names; a misspelt one among right ones passes unseen there.

    Raises:
        UserError: a name that matches no module.
    """
    present = {name for name, _ in model.named_modules()}
    linear = sorted(
        {n.rpartition(".")[-1] for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    )
    wanted = {"lora.modules_to_save": config.modules_to_save or []}
    if config.target_modules != "all-linear":
        wanted["lora.target_modules"] = config.target_modules
    for key, names in wanted.items():
        for name in names:
            if not any(p == name or p.endswith(f".{name}") for p in present):
                raise UserError(fault(key, name, f"all-linear, or of {', '.join(linear)}"))


def _belongs_to_base(name: str) -> bool:
    return not any(part in name for part in ("lora_", "modules_to_save"))
