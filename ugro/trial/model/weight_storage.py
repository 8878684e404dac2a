"""Bytes of quantised weights, without loading them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.quantizers import HfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

from ugro.config import QuantizationConfig, QuantizationMethod
from ugro.trial.model.quantization import settings_of_checkpoint

NF4_BLOCK = 64  # weights with a common scale
SCALE_BLOCK = 256  # scales with a common second scale


@dataclass(frozen=True)
class WeightStorage:
    """Storage of the weights of a linear layer.

    Attributes:
        bits: bits of a weight
        group_size: number of weights with a common scale; None: those of an output
        group_bits: bits of a scale and what belongs to it
    """

    bits: int
    group_size: int | None
    group_bits: float

    def nbytes(self, weight: Tensor) -> int:
        """Return the bytes of a weight of this shape, [out, in]."""
        groups = len(weight) if self.group_size is None else ceil(weight.numel() / self.group_size)
        return ceil((weight.numel() * self.bits + groups * self.group_bits) / 8)


def storage_of(
    quantization: QuantizationConfig, dtype: torch.dtype, model: PreTrainedModel
) -> WeightStorage | None:
    """Return how the linear layers are stored; None if they are not quantised.

    Args:
        quantization: quantisation that is asked for
        dtype: dtype of the other weights
        model: the model, whose checkpoint may be quantised already
    """
    match quantization.method:
        case QuantizationMethod.bnb_nf4:
            return _nf4(quantization.double_quantization)
        case QuantizationMethod.bnb_int8:
            return WeightStorage(8, None, 32)
        case QuantizationMethod.torchao_int8:
            return WeightStorage(8, None, 8 * dtype.itemsize)
    settings = settings_of_checkpoint(model.config)
    return None if settings is None else _of_checkpoint(settings)


def _nf4(double: bool) -> WeightStorage:
    return WeightStorage(4, NF4_BLOCK, 8 + 32 / SCALE_BLOCK if double else 32)


def _of_checkpoint(settings: Mapping[str, Any]) -> WeightStorage:
    """Return the storage of GPTQ and AWQ, a float16 scale and a zero point per group, or of
    bitsandbytes.
    """
    if settings.get("load_in_8bit"):
        return WeightStorage(8, None, 32)
    if settings.get("load_in_4bit"):
        return _nf4(bool(settings.get("bnb_4bit_use_double_quant")))
    bits, group_size = int(settings.get("bits", 4)), int(settings.get("group_size", 128))
    return WeightStorage(bits, group_size if group_size > 0 else None, 16 + bits)


def quantised_linears(model: PreTrainedModel) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers that are quantised, with their names: all linear ones but the output's."""
    kept = HfQuantizer.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and should_convert_module(name, kept):
            yield name, module
