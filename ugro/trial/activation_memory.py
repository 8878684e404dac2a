"""Simulate a training step and an evaluation on the meta device, and measure their peak memory."""

from functools import partial
from typing import Any
from weakref import ref

import peft
import torch
from peft.tuners.lora.layer import ParamWrapper
from peft.tuners.shira.layer import ShiraLayer
from peft.tuners.vblora.layer import VBLoRALayer
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import PreTrainedModel
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ugro.config import Config, TaskName
from ugro.config.training_length import row_length, row_tokens
from ugro.trial.hardware import device
from ugro.trial.model.chunked_head import backbone_output, chunk_bytes
from ugro.trial.model.target_modules import expert_parameters
from ugro.trial.parallel import group

COUNTED = "counted"  # implementation of attention and experts registered beside transformers' own


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the tensors that operations in this block create, while they are referenced.

    Attributes:
        now: bytes that are referenced
        peak: the largest number of them
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: int = 0
        self.peak: int = 0
        self._alive: dict[int, ref[torch.UntypedStorage]] = {}  # by address

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it allocates."""
        result = func(*args, **(kwargs or {}))
        given = {_address(one) for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                address = _address(tensor)
                if address not in self._alive and address not in given:
                    self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        freed = partial(self._free, storage._cdata, storage.nbytes())
        self._alive[storage._cdata] = ref(storage, freed)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)

    def _free(self, address: int, size: int, _: object) -> None:
        del self._alive[address]
        self.now -= size


def _address(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address


def activation_bytes(model: peft.PeftModel, config: Config) -> int:
    """Return the peak of a training step or an evaluation above weights, gradients and optimizer.

    Autocast is not simulated, as the meta device has none: the adapter's inputs count in float32.
    The head runs on chunks of tokens, which are counted by themselves.

    Args:
        model: model with an adapter on the meta device; afterwards it is of no use
        config: configuration of the trial
    """
    on_gpu = config.estimate.gpu_memory_gb is not None or device().type != "cpu"
    _use_fused_attention(model.get_base_model(), config.model.attn_implementation, on_gpu)
    merged = _merged_bytes(model)
    trained = _training_peak(model, config, bool(merged))
    gradients: int = sum(one.grad.nbytes for one in model.parameters() if one.grad is not None)
    held = len(merged)
    if config.training.gradient_checkpointing:  # those of a single layer are held at a time
        held = -(-held // model.config.num_hidden_layers)
    trained += sum(merged[:held]) + 2 * max(merged, default=0)
    return max(trained, _evaluation_peak(model, config)) - gradients


def _training_peak(model: peft.PeftModel, config: Config, all_layers: bool) -> int:
    """Return the peak of a step, gradients included.

    Args:
        model: model with an adapter
        config: configuration of the trial
        all_layers: whether each layer is trained, although its adapter is disabled
    """
    training, share = config.training, group.own_share(config.training)
    if training.gradient_checkpointing or all_layers:
        model.enable_input_require_grads()
    if training.gradient_checkpointing:
        model.activation_checkpointing_enable()
    model.train()
    for module in model.modules():
        if isinstance(module, VBLoRALayer):
            module.training = False  # in training it reads values
    peak, tokens, memory = 0, share.batch_size * row_tokens(config), PeakMemory()
    with memory:
        for _ in range(min(2, share.gradient_accumulation_steps)):
            output = _run(model, config, share.batch_size, row_tokens(config))
            # The head runs before the backward pass, and leaves the gradient of its input.
            at_head = (
                _head_bytes(model, config, tokens) + output.nbytes + _trained_head_bytes(model)
            )
            peak = max(peak, memory.now + at_head)
            if output.requires_grad:
                torch.autograd.backward(output, torch.empty_like(output))
            del output
    return max(peak, memory.peak)


@torch.no_grad()
def _evaluation_peak(model: peft.PeftModel, config: Config) -> int:
    """Return the peak of an evaluation's forward pass."""
    rows = config.training.eval_batch_size
    texts = 2 if config.task.name is TaskName.dpo else 1
    length = texts * row_length(config.data, of_training=False)
    model.eval()
    memory = PeakMemory()
    with memory:
        output = _run(model, config, rows, length)
        peak = memory.now + _head_bytes(model, config, rows * length)
        del output
    return max(peak, memory.peak)


def _run(model: peft.PeftModel, config: Config, rows: int, length: int) -> Tensor:
    """Return the output of a forward pass: hidden states, or a classifier's logits."""
    blocks = torch.zeros((rows, length), dtype=torch.long, device="meta")
    # Pass a full mask: transformers would inspect the data to build it.
    mask = torch.ones((rows, 1, length, length), dtype=torch.bool, device="meta")
    if config.task.name is TaskName.classification:
        logits: Tensor = model(input_ids=blocks, attention_mask=mask, use_cache=False).logits
        return logits
    hidden: Tensor = backbone_output(model, input_ids=blocks, attention_mask=mask)[0]
    return hidden


def _head_bytes(model: peft.PeftModel, config: Config, tokens: int) -> int:
    return 0 if config.task.name is TaskName.classification else chunk_bytes(model, tokens)


def _trained_head_bytes(model: peft.PeftModel) -> int:
    """Return the bytes of the head's gradient of a chunk, beside that of all chunks."""
    head = model.get_base_model().get_output_embeddings()
    parameters = [] if head is None else head.parameters()
    return sum(parameter.nbytes for parameter in parameters if parameter.requires_grad)


def _use_fused_attention(model: PreTrainedModel, asked: str | None, on_gpu: bool) -> None:
    """Replace attention kernels, which the meta device lacks: it would hold all scores.

    Args:
        model: the base model
        asked: ``model.attn_implementation``
        on_gpu: whether the kernels are a GPU's, which drop scores without holding them
    """
    if asked == "eager":
        model.set_attn_implementation(asked)
    elif model.config._attn_implementation != "eager":
        ALL_ATTENTION_FUNCTIONS.register(COUNTED, partial(_fused_attention, on_gpu))
        model.set_attn_implementation(COUNTED)


class _FusedAttention(torch.autograd.Function):
    """What a fused kernel allocates: its output, the logarithms of its sums, and gradients."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return an output, [batch, heads, length, size], of unknown values."""
        output = query.new_empty((*query.shape[:-1], value.shape[-1]))
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, output, sums)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, ...]:
        """Return gradients of unknown values."""
        return tuple(torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3])


def _fused_attention(
    on_gpu: bool,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    """Run attention as transformers does for SDPA with a mask: each query head has a key head.

    Args:
        on_gpu: whether the kernel is a GPU's
        module: the layer
        query: [batch, heads, length, size]
        key: [batch, key heads, length, size]
        value: [batch, key heads, length, size]
        mask: [batch, 1, length, length]
        dropout: share of the scores that are dropped
        options: of transformers' function
    """
    if dropout and not on_gpu:  # torch has no fused kernel for it on a CPU
        scored: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, mask, dropout=dropout, **options
        )
        return scored
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
    output: Tensor = _FusedAttention.apply(query, key, value)  # type: ignore[no-untyped-call]
    return output.transpose(1, 2).contiguous(), None


def _merged_bytes(model: peft.PeftModel) -> list[int]:
    """Return the bytes of each weight that autograd keeps with its adapter merged.

    These are fused experts and SHiRA's modules. The meta device supports neither the autocast that
    PEFT disables for experts, nor transformers' kernels, nor sparse tensors: so they run without
    adapter, and all tokens through a single expert.
    """
    wrappers = [m for m in model.modules() if isinstance(m, ParamWrapper | ShiraLayer)]
    for wrapper in wrappers:
        wrapper.enable_adapters(False)
    if expert_parameters(model):
        ALL_EXPERTS_FUNCTIONS.register(COUNTED, _first_expert)
        model.get_base_model().set_experts_implementation(COUNTED)
    experts = [w for w in wrappers if isinstance(w, ParamWrapper)]
    return [
        *(w.get_param().nbytes for w in experts if w.num_experts > 1),
        *(w.get_base_layer().weight.nbytes for w in wrappers if isinstance(w, ShiraLayer)),
    ]


def _first_expert(
    experts: Any, hidden: torch.Tensor, chosen: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Send all tokens through the first expert: the saved tensors have the same size.

    Args:
        experts: module of fused experts
        hidden: [tokens, hidden size]
        chosen: indices of the selected experts, [tokens, experts per token]
        shares: routing weights of the selected experts, [tokens, experts per token]
    """
    up, down = (experts.gate_up_proj if experts.has_gate else experts.up_proj), experts.down_proj
    up, down = (w[0] if experts.is_transposed else w[0].T for w in (up, down))
    inner = hidden.repeat_interleave(chosen.shape[-1], dim=0) @ up
    inner = experts._apply_gate(inner) if experts.has_gate else experts.act_fn(inner)
    weighted: torch.Tensor = (inner @ down) * shares.reshape(-1, 1)
    return weighted.view(*chosen.shape, -1).sum(dim=1).to(hidden.dtype)
