"""LoRA+: a higher learning rate for LoRA's B than for its A, https://arxiv.org/abs/2402.12354."""

import peft
from peft.optimizers import create_loraplus_optimizer
from torch.optim import Optimizer
from transformers import Trainer, TrainingArguments

from ugro.config import Adapter, Config


def loraplus_ratio(config: Config) -> float | None:
    """Return the configured ratio of learning rates; None: all parameters have the same."""
    return config.lora.loraplus_lr_ratio if config.adapter is Adapter.lora else None


def lora_plus_optimizer(
    model: peft.PeftModel, arguments: TrainingArguments, ratio: float
) -> Optimizer:
    """Create the optimizer that the arguments name, with parameter groups of LoRA+.

    Adapters of embeddings have the learning rate of A; PEFT's default is 1e-6.

    Args:
        model: model with a LoRA
        arguments: with the optimizer, the learning rate of A and the weight decay
        ratio: learning rate of B, as a multiple of that of A
    """
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
    optimizer: Optimizer = create_loraplus_optimizer(
        model,
        kind,
        loraplus_lr_ratio=ratio,
        loraplus_lr_embedding=arguments.learning_rate,
        loraplus_weight_decay=arguments.weight_decay,
        **options,
    )
    return optimizer
