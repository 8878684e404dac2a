"""Run a model's backbone once, and its head on chunks of the hidden states.

All logits come from the model's own forward pass, called in two ways. The first call runs the
backbone and keeps its hidden states, without any position in the head. Further calls replace the
backbone by a function that returns a chunk of these hidden states. Adapters on the head, soft caps,
scales and other operations behind the head therefore apply without special cases.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import peft
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ugro.trial.parallel import group

log = logging.getLogger(__name__)

CHUNK_BYTES = 64 * 2**20  # of float32 logits
PEAK_BUFFERS = 3  # buffers of a chunk's size at the peak: logits, probabilities, temporaries
TOLERANCE = 0.02  # times the largest logit: above bfloat16 rounding, below a different computation

_chunkable: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()  # cached by base model


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


def head(model: nn.Module, output: Any, device: torch.device) -> Callable[[Tensor], Tensor]:
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


def supports_chunks(model: nn.Module, input_ids: Tensor) -> bool:
    """Return whether chunked logits equal the model's own; cached per base model."""
    base = _base(model)
    if base not in _chunkable:
        matches = _chunks_match(model, input_ids[:2, :4])
        _chunkable[base] = group.from_first(lambda: matches)  # processes differ in their input
        if not _chunkable[base]:
            log.info("%s: its logits are computed row by row", type(base).__name__)
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
        logits_of = head(model, output, input_ids.device)
        parts = output[0].flatten(0, 1).tensor_split((1,))  # lengths differ from the rows'
        return torch.cat([logits_of(part).float() for part in parts])
    except torch.OutOfMemoryError:
        raise
    except Exception:  # models fail in arbitrary ways on unexpected calls
        log.debug("The model cannot be run in chunks", exc_info=True)
        return None


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
