"""Estimate a trial's memory on torch's meta device, which allocates no data."""

from dataclasses import dataclass
from typing import Any

import peft
import torch
from peft.tuners.lora.layer import ParamWrapper
from peft.tuners.shira.layer import ShiraLayer
from peft.tuners.vblora.layer import VBLoRALayer
from torch.fx.experimental import _config as fx_config
from transformers import AutoConfig, PreTrainedModel
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from ugro.config import Config, QuantizationMethod, TaskName, adapter_of
from ugro.config.training_length import longest_row, row_tokens
from ugro.errors import UserError
from ugro.trial import hardware
from ugro.trial.model import random_llama
from ugro.trial.model.adapter import add_adapter, trained_in_float32
from ugro.trial.model.base_models import (
    check_fits,
    model_class,
    no_such_model,
    set_pad_token,
)
from ugro.trial.model.chunked_head import backbone_output, chunk_bytes
from ugro.trial.model.gguf_files import gguf_folder
from ugro.trial.model.quantised_targets import check_quantised
from ugro.trial.model.quantization import check_checkpoint, compute_dtype
from ugro.trial.model.target_modules import check_modules, expert_parameters, warn_about_frozen
from ugro.trial.model.weight_storage import quantised_linears, storage_of
from ugro.trial.optimizer import check_optimizer, optimizer_bytes

COUNTED = "counted"  # implementation of experts registered beside transformers' own
SOME_LABELS = ("0", "1")  # of a classifier whose data are not read: their number hardly matters


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a single trial in bytes, unless stated otherwise."""

    parameters: int  # number of parameters, including the adapter
    trainable: int  # number of trainable parameters
    weights: int
    adapter: int  # trained and saved part of ``weights``
    optimizer: int  # what the optimizer keeps from step to step
    activations: int  # saved by the forward pass for the backward pass
    process: int  # memory of the process before the model is loaded

    @property
    def states(self) -> int:
        """Bytes of gradients and of the optimizer's state."""
        return self.adapter + self.optimizer

    @property
    def memory(self) -> int:
        """Total bytes."""
        return self.weights + self.states + self.activations + self.process


def estimate_memory(config: Config) -> MemoryEstimate:
    """Count a trial's parameters and estimate the memory of a training step.

    Raises:
        UserError: the model does not exist, has fewer positions than ``data.block_size``, or lacks
            modules that the adapter names; or the optimizer or its schedule cannot work here.
    """
    check_optimizer(config)
    # SHiRA and WaveFT choose weights and coefficients, of which the meta device takes all.
    with fx_config.patch(meta_nonzero_assume_all_nonzero=True):  # type: ignore[attr-defined]
        return _estimated(_on_meta(config), config)


def _estimated(base: PreTrainedModel, config: Config) -> MemoryEstimate:
    base.requires_grad_(False)
    check_fits(base.config, longest_row(config.data))
    adapter = adapter_of(config)
    check_modules(base, adapter)
    quantised = _quantised(base, config)
    model = add_adapter(base, adapter, on_meta=True)
    warn_about_frozen(model, adapter)
    with trained_in_float32(model):
        trained = [tensor for tensor in model.parameters() if tensor.requires_grad]
        return MemoryEstimate(
            parameters=sum(tensor.numel() for tensor in model.parameters()),
            trainable=sum(tensor.numel() for tensor in trained),
            weights=sum(tensor.nbytes for tensor in model.parameters()) - quantised.saved,
            adapter=sum(tensor.nbytes for tensor in trained),
            optimizer=optimizer_bytes(config, trained),
            activations=_activations(model, config) + quantised.computed,
            process=hardware.memory_in_use(),
        )


@dataclass(frozen=True)
class _Quantised:
    saved: int  # bytes by which quantisation makes the weights smaller
    computed: int  # bytes of de-quantised weights that a step holds at once


def _quantised(model: PreTrainedModel, config: Config) -> _Quantised:
    """Count the bytes of quantised weights.

    bitsandbytes de-quantises one weight at a time. torchao's products keep each de-quantised weight
    until the backward pass, those of one layer at a time with activation checkpointing.
    """
    storage = storage_of(config.quantization, model.dtype, model)
    if storage is None:
        return _Quantised(0, 0)
    check_quantised(model, adapter_of(config))
    weights = [linear.get_parameter("weight") for _, linear in quantised_linears(model)]
    sizes = [weight.numel() for weight in weights]
    held = max(sizes, default=0)
    if config.quantization.method is QuantizationMethod.torchao_int8:
        checkpointed = config.training.gradient_checkpointing
        held = sum(sizes) // (model.config.num_hidden_layers if checkpointed else 1)
    return _Quantised(
        saved=sum(weight.nbytes - storage.nbytes(weight) for weight in weights),
        computed=held * compute_dtype(config.quantization, model.dtype).itemsize,
    )


def _on_meta(config: Config) -> PreTrainedModel:
    given, dtype = config.model, hardware.precision(config.training.dtype)
    classifies = config.task.name is TaskName.classification
    kind, labels = model_class(tuple(config.task.labels) or SOME_LABELS if classifies else ())
    if given.random_llama is not None:
        tokenizer = random_llama.byte_tokenizer()
        with torch.device("meta"):
            return random_llama.random_llama(given.random_llama, tokenizer, **labels).to(dtype)
    options = {"revision": given.revision, "trust_remote_code": given.trust_remote_code}
    path = str(gguf_folder(given)) if given.gguf_file else str(given.path)
    if given.gguf_file:
        options = {"gguf_file": given.gguf_file}
    try:
        shape = AutoConfig.from_pretrained(path, **options, **labels)
        check_checkpoint(path, shape, config.quantization, hardware.device())
        with torch.device("meta"):
            model: PreTrainedModel = kind.from_config(
                shape, dtype=dtype, trust_remote_code=given.trust_remote_code
            )
    except (OSError, ValueError) as error:
        raise UserError(no_such_model(path, error)) from error
    set_pad_token(model.config, 0)  # a classifier looks for it
    return model


def _activations(model: peft.PeftModel, config: Config) -> int:
    """Return the bytes that autograd saves in a forward pass, plus the larger temporary.

    The temporaries are a chunk of logits, held when everything is saved, and the gradients of the
    largest saved tensor, held in the backward pass.
    """
    training = config.training
    if training.gradient_checkpointing:
        model.enable_input_require_grads()
        model.activation_checkpointing_enable()
    model.train()
    for module in model.modules():
        if isinstance(module, VBLoRALayer):
            module.training = False  # in training it reads values
    # Keep the tensors alive: a reused address would be counted once.
    saved: dict[int, torch.Tensor] = {}
    own = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}

    def save(tensor: torch.Tensor) -> torch.Tensor:
        if (address := tensor.untyped_storage()._cdata) not in own:
            saved[address] = tensor
        return tensor

    size = training.batch_size, row_tokens(config)
    blocks = torch.zeros(size, dtype=torch.long, device="meta")
    # Pass a full mask: transformers would inspect the data to build it.
    mask = torch.ones((size[0], 1, size[1], size[1]), dtype=torch.bool, device="meta")
    merged = _merged_bytes(model)
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        if config.task.name is TaskName.classification:
            model(input_ids=blocks, attention_mask=mask, use_cache=False)
        else:
            backbone_output(model, input_ids=blocks, attention_mask=mask)
    sizes = [tensor.untyped_storage().nbytes() for tensor in saved.values()]
    at_once = len(merged)
    if training.gradient_checkpointing:  # those of a single layer are held at a time
        at_once = -(-at_once // model.config.num_hidden_layers)
    # The head's chunk is freed before gradients of the backbone are computed.
    logits = 0 if config.task.name is TaskName.classification else blocks.numel()
    on_top = max(chunk_bytes(model, logits), 2 * max(sizes + merged, default=0))
    return sum(sizes) + sum(merged[:at_once]) + on_top


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
