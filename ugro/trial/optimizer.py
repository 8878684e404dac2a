"""Check a trial's optimizer and learning rate schedule, and measure the optimizer's memory."""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Optimizer
from transformers import Trainer, get_scheduler

from ugro.config import Config
from ugro.errors import UserError, fault
from ugro.retries import one_line
from ugro.trial.hardware import device
from ugro.trial.training_arguments import arguments

LARGEST = 2**20  # parameters of a stand-in
BLOCK = 256  # rows of a smaller stand-in are a multiple: 8-bit optimizers quantise blocks


def check_optimizer(config: Config) -> None:
    """Create the configured optimizer and schedule, for a parameter of its own.

    Raises:
        UserError: the optimizer's package is missing or cannot work here, or the schedule does not
            take its arguments.
    """
    training = config.training
    optimizer = _optimizer(config, [torch.zeros(1, requires_grad=True, device=device())])
    given = training.lr_scheduler_kwargs
    try:
        get_scheduler(training.lr_scheduler_type.name, optimizer, 0, 1, given)
    except (ValueError, TypeError) as error:
        allowed = f"what transformers' {training.lr_scheduler_type.name} takes ({one_line(error)})"
        raise UserError(fault("training.lr_scheduler_kwargs", given, allowed)) from error


def optimizer_bytes(config: Config, trained: Iterable[Tensor]) -> int:
    """Return the bytes of the configured optimizer's state after a step.

    The optimizer steps on stand-ins: a parameter of each shape, of large ones some rows.

    Args:
        config: configuration of the trial
        trained: the trained parameters, which may be on the meta device

    Raises:
        UserError: the optimizer's package is missing or cannot work here.
    """
    counts = Counter(tuple(tensor.shape) for tensor in trained)
    stand_ins = [torch.zeros(_rows(shape), requires_grad=True, device=device()) for shape in counts]
    optimizer = _optimizer(config, stand_ins)
    if hasattr(optimizer, "train"):  # a schedule-free one
        optimizer.train()
    for stand_in in stand_ins:
        stand_in.grad = torch.zeros_like(stand_in)
    with torch.compiler.set_stance("force_eager"):  # torchao's compile, seconds for each shape
        optimizer.step()
    total = 0.0
    for stand_in, (shape, count) in zip(stand_ins, counts.items(), strict=True):
        state = optimizer.state[stand_in].values()
        kept = sum(_bytes(value) for value in state if isinstance(value, Tensor))
        total += count * kept * math.prod(shape) / max(1, stand_in.numel())
    return round(total)


def _optimizer(config: Config, parameters: list[Tensor]) -> Optimizer:
    """Create the configured optimizer.

    Raises:
        UserError: its package is missing or cannot work here.
    """
    given = arguments(config, Path(), 1, torch.float32)
    try:
        kind, options = Trainer.get_optimizer_cls_and_kwargs(given)
        optimizer: Optimizer = kind(parameters, **options)
    except (ImportError, ValueError, TypeError, RuntimeError) as error:
        allowed = f"one that works here ({one_line(error)})"
        raise UserError(fault("training.optim", config.training.optim, allowed)) from error
    return optimizer


def _rows(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of fewer rows if this one has too many parameters."""
    if math.prod(shape) <= LARGEST:
        return shape
    rows = LARGEST // math.prod(shape[1:]) // BLOCK * BLOCK
    return min(shape[0], max(BLOCK, rows)), *shape[1:]


def _bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor; torchao's consist of others."""
    if hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        return sum(_bytes(getattr(tensor, name)) for name in names)
    return tensor.nbytes
