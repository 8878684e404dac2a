"""Estimate a trial's memory on torch's meta device, which allocates no data."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.fx.experimental import _config as fx_config
from transformers import PreTrainedModel

from ugro.config import (
    Config,
    ModelConfig,
    Parallel,
    QuantizationMethod,
    TaskName,
    adapter_of,
)
from ugro.config.training_length import longest_row
from ugro.errors import UserError
from ugro.trial import hardware
from ugro.trial.activation_memory import activation_bytes
from ugro.trial.model import random_llama
from ugro.trial.model.adapter import add_adapter, trained_in_float32
from ugro.trial.model.architecture import architecture, copy_in_use
from ugro.trial.model.base_models import (
    model_class,
    no_such_model,
    set_pad_token,
)
from ugro.trial.model.limits import check_fits
from ugro.trial.model.quantised_targets import check_quantised
from ugro.trial.model.quantization import DTYPES, check_checkpoint, check_kernels, compute_dtype
from ugro.trial.model.target_modules import check_modules, warn_about_frozen
from ugro.trial.model.weight_storage import WeightStorage, quantised_linears, storage_of
from ugro.trial.optimizer import check_optimizer, optimizer_bytes
from ugro.trial.parallel import group
from ugro.trial.parallel.sharding import bytes_elsewhere

GB = 10**9
CONTEXT_BYTES = GB // 2  # what CUDA and its libraries take of a GPU before anything is allocated
SOME_LABELS = ("0", "1")  # of a classifier whose data are not read: their number hardly matters


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a trial in bytes, unless stated otherwise; of several processes, that of one."""

    parameters: int  # number of parameters, including the adapter
    trainable: int  # number of trainable parameters
    weights: int
    adapter: int  # trained and saved part of ``weights``
    optimizer: int  # what the optimizer keeps from step to step
    activations: int  # of a step or an evaluation, temporaries included
    process: int  # memory of the process before the model is loaded
    from_copy: bool  # whether the architecture is the repository's copy, not the hub's

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

    The estimate is of this machine, or of the GPU that ``estimate.gpu_memory_gb`` stands for.

    Raises:
        UserError: the model does not exist, has fewer positions than ``data.block_size``, or lacks
            modules that the adapter names; the adapter does not train on its quantised layers; or
            the optimizer or its schedule cannot work here.
    """
    check_optimizer(config)
    # SHiRA and WaveFT choose weights and coefficients, of which the meta device takes all.
    with fx_config.patch(meta_nonzero_assume_all_nonzero=True):  # type: ignore[attr-defined]
        return _estimated(config)


def _estimated(config: Config) -> MemoryEstimate:
    imagined = config.estimate.gpu_memory_gb is not None
    copy = copy_in_use(config.model) if imagined else None
    base, adapter = _on_meta(config, copy), adapter_of(config)
    base.requires_grad_(False)
    check_fits(base.config, longest_row(config.data))
    check_modules(base, adapter)
    storage = storage_of(config.quantization, base.dtype, base)
    if storage is not None:
        check_quantised(base, adapter)
    quantised = _quantised(base, config, storage)
    sharded = config.training.parallel is Parallel.fsdp
    elsewhere = bytes_elsewhere(base, group.size()) if sharded else 0
    model = add_adapter(base, adapter, on_meta=True)
    warn_about_frozen(model, adapter)
    with trained_in_float32(model):
        trained = [tensor for tensor in model.parameters() if tensor.requires_grad]
        adapter_bytes = sum(tensor.nbytes for tensor in trained)
        exchanged = adapter_bytes if group.size() > 1 else 0  # all gradients at once
        return MemoryEstimate(
            parameters=sum(tensor.numel() for tensor in model.parameters()),
            trainable=sum(tensor.numel() for tensor in trained),
            weights=sum(one.nbytes for one in model.parameters()) - quantised.saved - elsewhere,
            adapter=adapter_bytes,
            optimizer=optimizer_bytes(config, trained),
            activations=activation_bytes(model, config) + quantised.computed + exchanged,
            process=CONTEXT_BYTES if imagined else hardware.memory_in_use(),
            from_copy=copy is not None,
        )


@dataclass(frozen=True)
class _Quantised:
    saved: int  # bytes by which quantisation makes the weights smaller
    computed: int  # bytes of de-quantised weights that a step holds at once


def _quantised(model: PreTrainedModel, config: Config, storage: WeightStorage | None) -> _Quantised:
    """Count the bytes of quantised weights.

    bitsandbytes de-quantises one weight at a time. torchao's products keep each de-quantised weight
    until the backward pass, those of one layer at a time with activation checkpointing.
    """
    if storage is None:
        return _Quantised(0, 0)
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


def _on_meta(config: Config, copy: Path | None) -> PreTrainedModel:
    """Create the base model without weights.

    Args:
        config: configuration of the trial
        copy: file of its architecture; None: the model's own
    """
    given, dtype = config.model, _precision(config)
    classifies = config.task.name is TaskName.classification
    kind, labels = model_class(tuple(config.task.labels) or SOME_LABELS if classifies else ())
    if given.random_llama is not None:
        tokenizer = random_llama.byte_tokenizer()
        with torch.device("meta"):
            return random_llama.random_llama(given.random_llama, tokenizer, **labels).to(dtype)
    shape = architecture(given if copy is None else ModelConfig(path=str(copy)), **labels)
    check_checkpoint(str(given.path), shape, config.quantization)
    if config.estimate.gpu_memory_gb is None:
        check_kernels(str(given.path), shape, hardware.device())
    try:
        with torch.device("meta"):
            model: PreTrainedModel = kind.from_config(
                shape, dtype=dtype, trust_remote_code=given.trust_remote_code
            )
    except (OSError, ValueError) as error:
        raise UserError(no_such_model(str(given.path), error)) from error
    set_pad_token(model.config, 0)  # a classifier looks for it
    return model


def _precision(config: Config) -> torch.dtype:
    """Return the dtype of the base weights; of a GPU that is not here, auto is bfloat16."""
    if config.estimate.gpu_memory_gb is not None:
        return DTYPES.get(config.training.dtype, torch.bfloat16)
    return hardware.precision(config.training.dtype)
