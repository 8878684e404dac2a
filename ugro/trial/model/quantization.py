"""Quantise a base model when it is loaded, check quantised checkpoints, de-quantise for a merge."""

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, PreTrainedConfig, PreTrainedModel, TorchAoConfig
from transformers.quantizers import AutoHfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from ugro.config import Dtype, QuantizationConfig, QuantizationMethod
from ugro.config.quantization import PACKAGES, missing_library
from ugro.errors import UserError, fault
from ugro.retries import one_line

DTYPES = {Dtype.fp32: torch.float32, Dtype.fp16: torch.float16, Dtype.bf16: torch.bfloat16}
# Methods of quantised checkpoints that PEFT trains adapters on, and the packages of their kernels.
CHECKPOINTS = {
    "gptq": ("optimum", "gptqmodel"),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
}


def compute_dtype(quantization: QuantizationConfig, dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of matrix products with quantised weights.

    Args:
        quantization: quantisation of the base model
        dtype: dtype of its other weights
    """
    return DTYPES.get(quantization.compute_dtype, dtype)


def described(quantization: QuantizationConfig, model: PreTrainedModel) -> str:
    """Describe how a model is quantised, for its provenance; empty if it is not."""
    if quantization.is_none:
        return method_of_checkpoint(model.config) or ""
    package, _ = PACKAGES[quantization.method]
    parts = [quantization.method.name]
    if quantization.method is QuantizationMethod.bnb_nf4:
        products = str(compute_dtype(quantization, model.dtype)).removeprefix("torch.")
        parts += ["double"] if quantization.double_quantization else []
        parts += [f"{products} products"]
    return ", ".join([*parts, f"{package} {version(package)}"])


def loading_options(
    quantization: QuantizationConfig, dtype: torch.dtype, where: torch.device
) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` that quantise; none without quantisation.

    Args:
        quantization: quantisation of the base model
        dtype: dtype of its other weights
        where: device of the model

    Raises:
        UserError: the library is not installed.
    """
    if missing := list(missing_library(quantization.method)):
        raise UserError(*missing)
    built = _transformers_config(quantization, dtype)
    return {} if built is None else {"quantization_config": built, **on_device(where)}


def on_device(where: torch.device) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` that load quantised weights onto a device."""
    on_gpu = where.type != "cpu"
    return {"device_map": {"": torch.accelerator.current_device_index() if on_gpu else "cpu"}}


def _transformers_config(
    quantization: QuantizationConfig, dtype: torch.dtype
) -> QuantizationConfigMixin | None:
    match quantization.method:
        case QuantizationMethod.bnb_nf4:
            return BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=quantization.double_quantization,
                bnb_4bit_compute_dtype=compute_dtype(quantization, dtype),
            )
        case QuantizationMethod.bnb_int8:
            return BitsAndBytesConfig(load_in_8bit=True)
        case QuantizationMethod.torchao_int8:
            from torchao.quantization import Int8WeightOnlyConfig

            return TorchAoConfig(Int8WeightOnlyConfig())
    return None


def keep_layout(model: PreTrainedModel) -> None:
    """Keep the layout in which 4-bit weights were loaded.

    On CPUs with AVX512-BF16, the first evaluation would repack them with scales in bfloat16, and
    matrix products with repacked weights have no gradient (bitsandbytes 0.50.2).
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def release_file(model: PreTrainedModel) -> None:
    """Copy the weights that are not quantised: each would keep the whole file mapped into memory.

    SmolLM2 on a CPU: 405 MB less.
    """
    for parameter in model.parameters():
        if type(parameter.data) is Tensor and parameter.is_floating_point():
            parameter.data = parameter.data.clone()


def method_of_checkpoint(config: PreTrainedConfig) -> str | None:
    """Return the method with which a checkpoint's weights are quantised; None if they are not."""
    found = settings_of_checkpoint(config)
    if found is None:
        return None
    method = found.get("quant_method", "bitsandbytes")
    return str(getattr(method, "value", method))  # an enum once the model is loaded


def settings_of_checkpoint(config: PreTrainedConfig) -> Mapping[str, Any] | None:
    """Return the ``quantization_config`` of a checkpoint; None if it is not quantised."""
    own = getattr(config, "quantization_config", None)
    found = own or getattr(config.get_text_config(), "quantization_config", None)
    return found.to_dict() if isinstance(found, QuantizationConfigMixin) else found


def check_checkpoint(path: str, config: PreTrainedConfig, quantization: QuantizationConfig) -> None:
    """Refuse a quantised checkpoint that cannot be trained.

    Args:
        path: hub id or folder
        config: configuration of the checkpoint
        quantization: quantisation that is asked for

    Raises:
        UserError: another quantisation is asked for, or the method cannot be trained.
    """
    method = method_of_checkpoint(config)
    if method is None:
        return
    if not quantization.is_none:
        allowed = f"none, as {path} is quantised already ({method})"
        raise UserError(fault("quantization.method", quantization.method.name, allowed))
    if method not in CHECKPOINTS:
        allowed = f"weights that are not quantised, or quantised with {', '.join(CHECKPOINTS)}"
        raise UserError(fault("model.path", f"{path} ({method})", allowed))


def check_kernels(path: str, config: PreTrainedConfig, where: torch.device) -> None:
    """Refuse a quantised checkpoint that this machine cannot train.

    Args:
        path: hub id or folder
        config: configuration of the checkpoint, which :func:`check_checkpoint` accepts
        where: device of the model

    Raises:
        UserError: the kernels of its method are missing.
    """
    method = method_of_checkpoint(config)
    if method is None:
        return
    if missing := [name for name in CHECKPOINTS[method] if find_spec(name) is None]:
        needs = f"{' and '.join(missing)}: pip install {' '.join(missing)}"
        raise UserError(f"model.path: {path} is quantised with {method}, which needs {needs}")
    try:
        settings = settings_of_checkpoint(config)
        quantizer = AutoHfQuantizer.from_config(dict(settings or {}), pre_quantized=True)
        quantizer.validate_environment(**on_device(where))
    except (ImportError, RuntimeError, ValueError, TypeError) as error:
        why = one_line(error)
        raise UserError(
            f"model.path: {path}, quantised with {method}, does not load ({why})"
        ) from error


def is_quantised(model: nn.Module) -> bool:
    """Return whether linear layers of the model are quantised."""
    return bool(getattr(model, "is_quantized", False))


def dequantise(model: PreTrainedModel) -> None:
    """Replace quantised weights by their values in the dtype of the other weights, in place.

    Raises:
        UserError: transformers does not de-quantise the method.
    """
    if model.quantization_method == "torchao":
        for module in model.modules():
            if isinstance(module, nn.Linear) and hasattr(module.weight, "dequantize"):
                values = module.weight.dequantize().to(model.dtype)
                module.weight = nn.Parameter(values, requires_grad=False)
        model.hf_quantizer.remove_quantization_config(model)
        return
    try:
        model.dequantize()
    except NotImplementedError as error:
        allowed = f"adapter, as a base model quantised with {model.quantization_method} stays so"
        raise UserError(fault("format", "merged", allowed)) from error
