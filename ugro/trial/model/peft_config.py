"""Translate an adapter's keys into PEFT's configuration."""

from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from typing import Any

import peft
from peft.tuners.boft.layer import get_fbd_cuda
from transformers import PreTrainedModel

from ugro.config import AnyAdapter, LoraConfig, name_of
from ugro.config.adapters import (
    AdaLoraConfig,
    AdapterConfig,
    BoftConfig,
    C3aConfig,
    DeloraConfig,
    FourierftConfig,
    GraloraConfig,
    HiraConfig,
    HraConfig,
    Ia3Config,
    LnTuningConfig,
    LohaConfig,
    LokrConfig,
    MissConfig,
    OftConfig,
    RandloraConfig,
    RoadConfig,
    ShiraConfig,
    VbloraConfig,
    VeraConfig,
    WaveftConfig,
)
from ugro.errors import UserError, fault
from ugro.trial.model.target_modules import is_classifier, keep_tied, lora_config

KINDS: dict[type[AnyAdapter], type[peft.PeftConfig]] = {
    AdaLoraConfig: peft.AdaLoraConfig,
    BoftConfig: peft.BOFTConfig,
    C3aConfig: peft.C3AConfig,
    DeloraConfig: peft.DeloraConfig,
    FourierftConfig: peft.FourierFTConfig,
    GraloraConfig: peft.GraloraConfig,
    HiraConfig: peft.HiraConfig,
    HraConfig: peft.HRAConfig,
    Ia3Config: peft.IA3Config,
    LnTuningConfig: peft.LNTuningConfig,
    LohaConfig: peft.LoHaConfig,
    LokrConfig: peft.LoKrConfig,
    MissConfig: peft.MissConfig,
    OftConfig: peft.OFTConfig,
    RandloraConfig: peft.RandLoraConfig,
    RoadConfig: peft.RoadConfig,
    ShiraConfig: peft.ShiraConfig,
    VbloraConfig: peft.VBLoRAConfig,
    VeraConfig: peft.VeraConfig,
    WaveftConfig: peft.WaveFTConfig,
}
OF_TRAINING = ("learning_rate", "warmup_ratio", "final_ratio")  # keys that PEFT does not have
RENAMED = {"interval": "deltaT"}


def peft_config(config: AnyAdapter, model: PreTrainedModel) -> peft.PeftConfig:
    """Translate the configuration of an adapter into PEFT's class for this model.

    Raises:
        UserError: PEFT cannot translate the target modules for this model, or lacks an extension.
        ValueError: PEFT refuses the values.
    """
    if isinstance(config, LoraConfig):
        return lora_config(config, model)
    if isinstance(config, BoftConfig) and config.n_butterfly_factor > 1 and not get_fbd_cuda():
        allowed = "1, as PEFT's CUDA extension for more could not be compiled"
        raise UserError(fault("boft.n_butterfly_factor", config.n_butterfly_factor, allowed))
    kind = KINDS[type(config)]
    known = {one.name for one in fields(kind)}
    given = dict(_named(config, known))
    if "ensure_weight_tying" in known:
        given["ensure_weight_tying"] = keep_tied(model, config.modules_to_save or [])
    if isinstance(config, AdaLoraConfig):
        given["total_step"] = 1  # set once the training's length is known
    return kind(task_type="SEQ_CLS" if is_classifier(model) else "CAUSAL_LM", **given)


def _named(config: AdapterConfig, known: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield the values under PEFT's names, some of which begin with that of the adapter."""
    for key, value in vars(config).items():
        if key not in OF_TRAINING:
            names = (RENAMED.get(key, key), f"{name_of(config)}_{key}", f"lora_{key}")
            name = next(name for name in names if name in known)
            yield name, value.name if isinstance(value, Enum) else value
