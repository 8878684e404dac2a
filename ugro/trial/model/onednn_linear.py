"""Multiply by frozen float32 weights with oneDNN on x86 CPUs, in the forward and backward pass.

torch multiplies float32 matrices with MKL, which uses no AVX-512 on AMD's processors: on a core
that does 105 GFLOP/s with MKL, oneDNN does 240 (docs/training.md, "Speed on a CPU").
"""

import platform
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def use_onednn(model: nn.Module) -> None:
    """Multiply by the frozen weights of linear layers with oneDNN, on an x86 CPU."""
    on_x86 = platform.machine() in ("x86_64", "AMD64")
    if on_x86 and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        for module in model.modules():
            # Not those that quantise: a class of their own, or torchao's class of weights.
            if type(module) is nn.Linear and type(module.weight.data) is Tensor:
                module.__class__ = OneDnnLinear


class OneDnnLinear(nn.Linear):
    """Linear layer that multiplies with oneDNN while its weight is frozen and in float32."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the outputs, [..., out], of inputs, [..., in]."""
        if self.weight.requires_grad or not _is_supported(input, self.weight):
            return super().forward(input)
        # oneDNN returns a view of other inputs, which AdaLoRA could not add to in place.
        rows = input.reshape(-1, self.in_features)
        product: Tensor = _Product.apply(rows, self.weight)  # type: ignore[no-untyped-call]
        output = product.view(*input.shape[:-1], self.out_features)
        return output if self.bias is None else output + self.bias


OneDnnLinear.__name__ = nn.Linear.__name__  # as users know it, in printed models and messages


class _Product(torch.autograd.Function):
    """Product of inputs, [rows, in], and a frozen weight, [out, in]."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return _product(input, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_output: Tensor) -> tuple[Tensor, None]:
        (weight,) = ctx.saved_tensors
        return _product(of_output, weight.t()), None


def _product(input: Tensor, weight: Tensor) -> Tensor:
    """Multiply with the operation that torch's inductor compiles linear layers to."""
    output: Tensor = torch.ops.mkldnn._linear_pointwise(input, weight, None, "none", [], "")
    return output


def _is_supported(*tensors: Tensor) -> bool:
    on_cpu = all(one.dtype is torch.float32 and one.device.type == "cpu" for one in tensors)
    return on_cpu and not torch.is_autocast_enabled("cpu")
