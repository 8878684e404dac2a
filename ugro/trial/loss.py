"""Compute the loss of next-token prediction."""

from torch import Tensor, nn
from torch.nn import functional

IGNORED = -100


def summed_loss(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None = None
) -> Tensor:
    """Sum the negative log-likelihood of all labelled tokens, in nats; differentiable.

    Args:
        model: a causal language model
        input_ids: [rows, tokens]
        labels: the same, unshifted; -100 where a token carries no loss
        position_ids: where rows hold several examples, [rows, tokens]; they restart at each
    """
    logits, targets = _predicted(model, input_ids, labels, position_ids)
    return functional.cross_entropy(logits.float(), targets, reduction="sum")


def token_losses(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None = None
) -> Tensor:
    """Return the negative log-likelihood of each labelled token, in nats, float32 [labelled]."""
    logits, targets = _predicted(model, input_ids, labels, position_ids)
    logits = logits.float()
    # cross_entropy rounds down in float32 on a CPU: by 6e-6 on SmolLM2
    return logits.logsumexp(-1) - logits.gather(-1, targets[:, None])[:, 0]


def _predicted(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None
) -> tuple[Tensor, Tensor]:
    # With a cache transformers 5 does not see that position_ids restart.
    outputs = model(input_ids=input_ids, position_ids=position_ids, use_cache=False)
    carries = labels[:, 1:] != IGNORED
    return outputs.logits[:, :-1][carries], labels[:, 1:][carries]
