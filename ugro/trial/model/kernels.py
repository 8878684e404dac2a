"""Choose the kernels of a base model: its attention, Liger's, and oneDNN's."""

from transformers import PreTrainedModel
from transformers.integrations.liger import apply_liger_kernel
from transformers.utils import is_liger_kernel_available

from ugro.config import ModelConfig
from ugro.errors import UserError, fault
from ugro.retries import one_line
from ugro.trial.model.onednn_linear import use_onednn

FLEX = "flex_attention"
OWN_LOSS = {"cross_entropy": False, "fused_linear_cross_entropy": False}  # see ugro/trial/loss.py


def set_kernels(model: PreTrainedModel, config: ModelConfig) -> None:
    """Set the kernels of a base model on its device.

    Raises:
        UserError: the model lacks the configured attention or kernels.
    """
    set_attention(model, config.attn_implementation)
    if config.liger_kernel:
        use_liger_kernels(model)
    use_onednn(model)


def set_attention(model: PreTrainedModel, implementation: str | None) -> None:
    """Set the implementation of attention; None: leave it.

    Raises:
        UserError: the model does not support it, or its package is missing.
    """
    if implementation is None:
        return
    if implementation == FLEX and model.device.type == "cpu":
        allowed = "eager or sdpa on a CPU, where torch cannot train with it"
        raise UserError(fault("model.attn_implementation", implementation, allowed))
    try:
        model.set_attn_implementation(implementation)
    except (ImportError, OSError, ValueError) as error:
        allowed = f"one that works here ({one_line(error)})"
        raise UserError(fault("model.attn_implementation", implementation, allowed)) from error
    taken = model.config._attn_implementation
    if taken != implementation:  # transformers warns only
        allowed = f"{taken}, with {type(model).__name__}"
        raise UserError(fault("model.attn_implementation", implementation, allowed))


def use_liger_kernels(model: PreTrainedModel) -> None:
    """Replace norms, MLPs and rotary embeddings by Liger's kernels, in the whole process.

    Raises:
        UserError: the package or a GPU is missing, or Liger has no kernels for the model.
    """
    key, off = "model.liger_kernel", "false"
    if not is_liger_kernel_available():
        raise UserError(fault(key, True, f"{off}, or an installed package: liger-kernel"))
    if model.device.type == "cpu":
        raise UserError(fault(key, True, f"{off} without a GPU"))
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN

    if model.config.model_type not in MODEL_TYPE_TO_APPLY_LIGER_FN:
        raise UserError(fault(key, True, f"{off} with a {model.config.model_type} model"))
    apply_liger_kernel(model, OWN_LOSS)
