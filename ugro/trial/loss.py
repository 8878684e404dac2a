"""Cross entropy of a causal language model with logits computed in chunks of tokens.

If a model does not support chunks, its logits are computed row by row.

The auxiliary loss of mixture-of-experts models is omitted, as in transformers unless the model's
configuration sets ``output_router_logits``.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ugro.trial.model.chunked_head import backbone_output, chunk_tokens, head, supports_chunks

IGNORED = -100  # label of tokens without loss, as in transformers


def summed_loss(
    model: nn.Module,
    input_ids: Tensor,
    labels: Tensor,
    position_ids: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Sum the cross entropy of all target tokens, differentiably.

    Args:
        model: causal language model of transformers, or a PeftModel around it
        input_ids: [batch, length], rows padded on the right
        labels: [batch, length], not shifted; -100 for tokens without loss
        position_ids: [batch, length], restarting at each packed example
        smoothing: share of a target's probability spread over the vocabulary; where no gradients
            are computed, the loss is not smoothed

    Returns:
        Float32 scalar, in nats.
    """
    batch = model, input_ids, labels, position_ids
    if not torch.is_grad_enabled():
        return token_losses(*batch).sum()
    if not supports_chunks(model, input_ids):
        return token_losses_with_gradients(*batch, smoothing).sum()
    hidden, targets, logits_of = _split_at_head(model, input_ids, labels, position_ids)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss: Tensor = _ChunkedLoss.apply(  # type: ignore[no-untyped-call]
        hidden, targets, logits_of, chunk_tokens(model), smoothing, *trained
    )
    return loss


def token_losses_with_gradients(
    model: nn.Module,
    input_ids: Tensor,
    labels: Tensor,
    position_ids: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Compute the cross entropy of each target token, differentiably.

    The logits are computed twice, chunk by chunk: the gradient of each token's loss is known only
    once all losses are.

    Args:
        model: causal language model of transformers, or a PeftModel around it
        input_ids: [batch, length], rows padded on the right
        labels: [batch, length], not shifted; -100 for tokens without loss
        position_ids: [batch, length], restarting at each packed example
        smoothing: share of a target's probability spread over the vocabulary

    Returns:
        Float32 [tokens], in nats, ordered by row, then position.
    """
    if not supports_chunks(model, input_ids):

        def of_row(*row: Tensor) -> Tensor:
            return _cross_entropy(*_row_logits(model, *row), smoothing)

        rows = _rows(input_ids, labels, position_ids)
        return torch.cat([checkpoint(of_row, *row, use_reentrant=False) for row in rows])
    hidden, targets, logits_of = _split_at_head(model, input_ids, labels, position_ids)

    def of_chunk(part: Tensor, wanted: Tensor) -> Tensor:
        return _cross_entropy(logits_of(part).float(), wanted, smoothing)

    chunks = _chunks(hidden, targets, chunk_tokens(model))
    return torch.cat([checkpoint(of_chunk, *chunk, use_reentrant=False) for chunk in chunks])


@torch.no_grad()
def token_losses(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None = None
) -> Tensor:
    """Compute the negative log-likelihood of each target token, without gradients."""
    return token_scores(model, input_ids, labels, position_ids)[0]


@torch.no_grad()
def token_scores(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compute the negative log-likelihood of each target token, and whether it is most likely.

    Args:
        model: causal language model of transformers, or a PeftModel around it
        input_ids: [batch, length], rows padded on the right
        labels: [batch, length], not shifted; -100 for tokens without loss
        position_ids: [batch, length], restarting at each packed example

    Returns:
        Float32 [tokens], in nats, and bool [tokens], ordered by row, then position.
    """
    if not supports_chunks(model, input_ids):
        rows = _rows(input_ids, labels, position_ids)
        scores = [_scores(*_row_logits(model, *row)) for row in rows]
    else:
        hidden, targets, logits_of = _split_at_head(model, input_ids, labels, position_ids)
        scores = [
            _scores(logits_of(part).float(), wanted)
            for part, wanted in _chunks(hidden, targets, chunk_tokens(model))
        ]
    losses, correct = zip(*scores, strict=True)
    return torch.cat(losses), torch.cat(correct)


def _scores(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Compute losses and matches, [tokens], from float32 logits, [tokens, vocabulary]."""
    return _cross_entropy(logits, targets), logits.argmax(-1) == targets


def _cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Compute losses, [tokens], from float32 logits, [tokens, vocabulary].

    On CPU, torch's cross_entropy has a bias: 6e-6 too low in the mean over SmolLM2's tokens.
    """
    wanted = logits.gather(-1, targets[:, None])[:, 0]
    if smoothing:
        wanted = (1 - smoothing) * wanted + smoothing * logits.mean(-1)
    return logits.logsumexp(-1) - wanted


class _ChunkedLoss(torch.autograd.Function):
    """Summed cross entropy with gradients computed chunk by chunk in the forward pass.

    No logits are kept, and the head runs once; checkpointing would run it twice.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        targets: Tensor,
        logits_of: Callable[[Tensor], Tensor],
        size: int,
        smoothing: float,
        *trained: Tensor,
    ) -> Tensor:
        """Sum the loss over all tokens; ``trained`` are parameters that the head may use."""
        total = hidden.new_zeros((), dtype=torch.float32)
        of_hidden: list[Tensor] = []
        of_trained: dict[int, Tensor] = {}
        for part, wanted in _chunks(hidden, targets, size):
            loss, first, *others = _chunk_gradients(part, wanted, logits_of, smoothing, trained)
            total += loss
            of_hidden.append(first)
            for number, gradient in enumerate(others):
                if gradient is not None:
                    if number not in of_trained:
                        of_trained[number] = torch.zeros_like(trained[number])
                    of_trained[number] += gradient
        ctx.of_which = tuple(of_trained)
        ctx.trained = len(trained)
        ctx.save_for_backward(torch.cat(of_hidden), *of_trained.values())
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_loss: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients computed in the forward pass."""
        of_hidden, *others = (of_loss * gradient for gradient in ctx.saved_tensors)
        of_trained: list[Tensor | None] = [None] * ctx.trained
        for number, gradient in zip(ctx.of_which, others, strict=True):
            of_trained[number] = gradient
        return of_hidden, None, None, None, None, *of_trained


def _chunk_gradients(
    hidden: Tensor,
    targets: Tensor,
    logits_of: Callable[[Tensor], Tensor],
    smoothing: float,
    trained: tuple[Tensor, ...],
) -> Any:
    """Return a chunk's loss and its gradients by the hidden states and ``trained``.

    The gradient by the logits is computed in place; autograd would hold two more tensors of that
    size.
    """
    hidden = hidden.detach().requires_grad_()
    with torch.enable_grad():
        logits = logits_of(hidden)
    log_probabilities = logits.detach().float().log_softmax(dim=-1)
    columns = targets[:, None]
    loss = -(1 - smoothing) * log_probabilities.gather(1, columns).sum()
    if smoothing:
        loss -= smoothing * log_probabilities.mean(-1).sum()
    slope = log_probabilities.exp_()  # probabilities, minus those wanted: 1 at the target
    if smoothing:
        slope -= smoothing / slope.shape[-1]
    slope.scatter_add_(1, columns, slope.new_full(columns.shape, smoothing - 1))
    slope = slope.to(logits.dtype)
    return loss, *torch.autograd.grad(logits, (hidden, *trained), slope, allow_unused=True)


def _split_at_head(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None
) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """Return the predicting hidden states, [tokens, hidden], their targets, and the head."""
    output = backbone_output(model, input_ids=input_ids, **_positions(position_ids))
    following = _next_labels(labels).flatten()
    chosen = (following != IGNORED).nonzero().squeeze(1)
    hidden = output[0].flatten(0, 1).index_select(0, chosen.to(output[0].device))
    return hidden, following[chosen].to(hidden.device), head(model, output, input_ids.device)


def _rows(
    input_ids: Tensor, labels: Tensor, position_ids: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield each row's input ids, labels and positions, [1, length] each."""
    for number in range(len(input_ids)):
        row = slice(number, number + 1)
        yield input_ids[row], labels[row], None if position_ids is None else position_ids[row]


def _row_logits(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return a row's predicting logits, [tokens, vocabulary], and their targets, [tokens]."""
    logits = model(input_ids=input_ids, use_cache=False, **_positions(position_ids)).logits
    following = _next_labels(labels).flatten().to(logits.device)
    predicting = following != IGNORED
    return logits.flatten(0, 1)[predicting].float(), following[predicting]


def _chunks(hidden: Tensor, targets: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Split both into chunks of nearly equal length, at most ``size`` tokens each."""
    parts = max(1, -(-len(targets) // size))
    yield from zip(hidden.tensor_split(parts), targets.tensor_split(parts), strict=True)


def _next_labels(labels: Tensor) -> Tensor:
    """Return the label that each position predicts."""
    return functional.pad(labels[:, 1:], (0, 1), value=IGNORED)


def _positions(position_ids: Tensor | None) -> dict[str, Tensor]:
    """Return the keyword argument, if any: some models take no positions."""
    return {} if position_ids is None else {"position_ids": position_ids}
