"""Cross entropy of a causal language model with logits computed in chunks of tokens.

All logits come from the model's own forward pass, called in two ways. The first call runs the
backbone and keeps its hidden states, without any position in the head. Further calls replace the
backbone by a function that returns a chunk of these hidden states. Adapters on the head, soft caps,
scales and other operations behind the head therefore apply without special cases. If a model does
not support such calls, its logits are computed row by row.

The auxiliary loss of mixture-of-experts models is omitted, as in transformers unless the model's
configuration sets ``output_router_logits``.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import peft
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

log = logging.getLogger(__name__)

IGNORED = -100  # label of tokens without loss, as in transformers
CHUNK_BYTES = 64 * 2**20  # of float32 logits
PEAK_BUFFERS = 3  # buffers of a chunk's size at the peak: logits, probabilities, temporaries
TOLERANCE = 0.02  # times the largest logit: above bfloat16 rounding, below a different computation

_chunkable: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()  # cached by base model


def summed_loss(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None = None
) -> Tensor:
    """Sum the negative log-likelihoods of all target tokens, differentiably.

    Args:
        model: causal language model of transformers, or a PeftModel around it
        input_ids: [batch, length], rows padded on the right
        labels: [batch, length], not shifted; -100 for tokens without loss
        position_ids: [batch, length], restarting at each packed example

    Returns:
        Float32 scalar, in nats.
    """
    if not torch.is_grad_enabled():
        return token_losses(model, input_ids, labels, position_ids).sum()
    if not _supports_chunks(model, input_ids):
        rows = _rows(input_ids, labels, position_ids)
        sums = [checkpoint(_row_sum, model, *row, use_reentrant=False) for row in rows]
        return torch.stack(sums).sum()
    hidden, targets, logits_of = _split_at_head(model, input_ids, labels, position_ids)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss: Tensor = _ChunkedLoss.apply(  # type: ignore[no-untyped-call]
        hidden, targets, logits_of, chunk_tokens(model), *trained
    )
    return loss


@torch.no_grad()
def token_losses(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None = None
) -> Tensor:
    """Compute the negative log-likelihood of each target token, without gradients.

    Args:
        model: causal language model of transformers, or a PeftModel around it
        input_ids: [batch, length], rows padded on the right
        labels: [batch, length], not shifted; -100 for tokens without loss
        position_ids: [batch, length], restarting at each packed example

    Returns:
        Float32 [tokens], in nats, ordered by row, then position.
    """
    if not _supports_chunks(model, input_ids):
        rows = _rows(input_ids, labels, position_ids)
        return torch.cat([_row_losses(model, *row) for row in rows])
    hidden, targets, logits_of = _split_at_head(model, input_ids, labels, position_ids)
    losses = [
        _negative_log_likelihood(logits_of(part).float(), wanted)
        for part, wanted in _chunks(hidden, targets, chunk_tokens(model))
    ]
    return torch.cat(losses)


def _negative_log_likelihood(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute losses, [tokens], from float32 logits, [tokens, vocabulary].

    On CPU, torch's cross_entropy has a bias: 6e-6 too low in the mean over SmolLM2's tokens.
    """
    return logits.logsumexp(-1) - logits.gather(-1, targets[:, None])[:, 0]


def chunk_tokens(model: nn.Module) -> int:
    """Return the number of tokens whose float32 logits fit into a chunk."""
    return max(1, CHUNK_BYTES // _logits_bytes(model))


def chunk_bytes(model: nn.Module, tokens: int) -> int:
    """Return the peak bytes of a chunk when ``tokens`` tokens are predicted."""
    return PEAK_BUFFERS * _logits_bytes(model) * min(tokens, chunk_tokens(model))


def _logits_bytes(model: nn.Module) -> int:
    """Return the bytes of a token's float32 logits."""
    vocabulary: int = _base(model).config.get_text_config().vocab_size
    return 4 * vocabulary


def backbone_output(model: nn.Module, **inputs: Any) -> Any:
    """Run the model without its head and return the backbone's output, hidden states first."""
    backbone = _base(model).get_decoder()
    forward, returned = backbone.forward, []

    def kept(*arguments: Any, **options: Any) -> Any:
        returned.append(forward(*arguments, **options))
        return _replace_hidden(returned[0], returned[0][0][:, :0])

    with _forward_of(backbone, kept):
        model(**inputs, use_cache=False)  # a cache disables transformers' packed attention
    (output,) = returned
    return output


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
        *trained: Tensor,
    ) -> Tensor:
        """Sum the loss over all tokens; ``trained`` are parameters that the head may use."""
        total = hidden.new_zeros((), dtype=torch.float32)
        of_hidden: list[Tensor] = []
        of_trained: dict[int, Tensor] = {}
        for part, wanted in _chunks(hidden, targets, size):
            loss, first, *others = _chunk_gradients(part, wanted, logits_of, trained)
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
        return of_hidden, None, None, None, *of_trained


def _chunk_gradients(
    hidden: Tensor,
    targets: Tensor,
    logits_of: Callable[[Tensor], Tensor],
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
    loss = -log_probabilities.gather(1, columns).sum()
    slope = log_probabilities.exp_()  # probabilities, minus 1 at the target
    slope.scatter_add_(1, columns, slope.new_full(columns.shape, -1.0))
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
    return hidden, following[chosen].to(hidden.device), _head(model, output, input_ids.device)


def _head(model: nn.Module, output: Any, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return the head: a function from hidden states, [tokens, hidden], to logits."""
    backbone = _base(model).get_decoder()

    def logits_of(hidden: Tensor) -> Tensor:
        def given(*_: Any, **__: Any) -> Any:
            return _replace_hidden(output, hidden[None])

        unread = torch.zeros((1, len(hidden)), dtype=torch.long, device=device)
        with _forward_of(backbone, given):
            logits: Tensor = model(input_ids=unread, use_cache=False).logits
        return logits[0]

    return logits_of


def _supports_chunks(model: nn.Module, input_ids: Tensor) -> bool:
    """Return whether chunked logits equal the model's own; cached per base model."""
    base = _base(model)
    if base not in _chunkable:
        _chunkable[base] = _chunks_match(model, input_ids[:2, :4])
        if not _chunkable[base]:
            log.info("%s: its logits are computed one row at a time", type(base).__name__)
    return _chunkable[base]


@torch.no_grad()
def _chunks_match(model: nn.Module, input_ids: Tensor) -> bool:
    modes = {module: module.training for module in model.modules()}
    model.eval()  # disable dropout
    try:
        own = model(input_ids=input_ids, use_cache=False).logits.float().flatten(0, 1)
        chunked = _logits_in_chunks(model, input_ids)
    finally:
        for module, mode in modes.items():
            module.training = mode
    if chunked is None or own.shape != chunked.shape:
        return False
    return bool((own - chunked).abs().max() <= TOLERANCE * own.abs().max())


def _logits_in_chunks(model: nn.Module, input_ids: Tensor) -> Tensor | None:
    """Return all logits, [tokens, vocabulary], in two chunks; None if the model fails."""
    try:
        chunk_tokens(model)  # raises if the configuration lacks the vocabulary size
        output = backbone_output(model, input_ids=input_ids)
        logits_of = _head(model, output, input_ids.device)
        parts = output[0].flatten(0, 1).tensor_split((1,))  # lengths differ from the rows'
        return torch.cat([logits_of(part).float() for part in parts])
    except torch.OutOfMemoryError:
        raise
    except Exception:  # models fail in arbitrary ways on unexpected calls
        log.debug("The model cannot be run in chunks", exc_info=True)
        return None


def _rows(
    input_ids: Tensor, labels: Tensor, position_ids: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield each row's input ids, labels and positions, [1, length] each."""
    for number in range(len(input_ids)):
        row = slice(number, number + 1)
        yield input_ids[row], labels[row], None if position_ids is None else position_ids[row]


def _row_losses(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None
) -> Tensor:
    """Compute a row's negative log-likelihoods with the model's own forward pass."""
    logits = model(input_ids=input_ids, use_cache=False, **_positions(position_ids)).logits
    following = _next_labels(labels).flatten().to(logits.device)
    predicting = following != IGNORED
    return _negative_log_likelihood(logits.flatten(0, 1)[predicting].float(), following[predicting])


def _row_sum(
    model: nn.Module, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None
) -> Tensor:
    return _row_losses(model, input_ids, labels, position_ids).sum()


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


def _base(model: nn.Module) -> PreTrainedModel:
    return model.get_base_model() if isinstance(model, peft.PeftModel) else model


def _replace_hidden(output: Any, hidden: Tensor) -> Any:
    """Return a backbone output with other hidden states and no further fields."""
    if isinstance(output, tuple):
        return (hidden, *[None] * (len(output) - 1))
    return type(output)(last_hidden_state=hidden)


@contextmanager
def _forward_of(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Replace a module's forward function temporarily; its hooks still run."""
    own = vars(module).get("forward")  # accelerate may have set it
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
