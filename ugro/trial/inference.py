"""Run a model without dropout and gradients, in the precision of its training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def inference(model: nn.Module) -> Iterator[torch.device]:
    """Switch a model to inference inside the block; yield its device.

    The training mode is restored on exit.
    """
    weights = next(model.parameters())
    half = weights.dtype is not torch.float32  # as in training; adapters are always float32
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(weights.device.type, weights.dtype, enabled=half):
            yield weights.device
    finally:
        model.train(was_training)
