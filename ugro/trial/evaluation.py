"""How good is a model on the evaluation blocks? The token-weighted mean loss."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from ugro.trial.blocks import IGNORED, Blocks


def eval_loss(model: nn.Module, blocks: Blocks, batch_size: int) -> float:
    """Mean negative log-likelihood in nats per predicted token.

    Every predicted token weighs the same, whichever block and batch it stands in: a mean of batch
    means would weigh a block with one completion token like one with five hundred. The sum is kept
    in double precision, so the result does not depend on ``batch_size`` beyond rounding.
    """
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    weights = next(model.parameters())
    half = weights.dtype is not torch.float32  # as in training: adapters are float32 even then
    with torch.no_grad(), torch.autocast(weights.device.type, weights.dtype, enabled=half):
        for input_ids, labels in _batches(blocks, batch_size, weights.device):
            logits = model(input_ids=input_ids, use_cache=False).logits
            total += summed_loss(logits, labels).item()
            tokens += int((labels[:, 1:] != IGNORED).sum())
    model.train(was_training)
    return total / tokens


def perplexity(loss: float) -> float:
    """exp(loss); infinite where that is beyond a float."""
    return math.inf if loss > 700 else math.exp(loss)


def summed_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Summed cross entropy of each token given those before it, in double precision.

    Args:
        logits: [batch, length, vocabulary]
        labels: [batch, length]; position t is predicted by the logits at t - 1
    """
    predicted = logits[:, :-1].flatten(0, 1).float()
    per_token = functional.cross_entropy(
        predicted, labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="none"
    )
    return per_token.double().sum()


def _batches(
    blocks: Blocks, batch_size: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield input ids and labels, [batch_size or fewer, block_size] each."""
    for start in range(0, len(blocks), batch_size):
        batch = slice(start, start + batch_size)
        yield blocks.input_ids[batch].long().to(device), blocks.labels[batch].long().to(device)
