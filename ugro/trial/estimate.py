"""How much memory does a trial need? Counted on torch's meta device, which holds no data."""

import warnings
from dataclasses import dataclass, replace

import peft
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from ugro.config import Config, ModelConfig
from ugro.errors import UserError
from ugro.trial import hardware, tiny
from ugro.trial.adapter import check_modules, peft_config
from ugro.trial.models import gguf_folder, no_such_model

ADAM_STATES = 2  # AdamW keeps two numbers a trainable parameter


@dataclass(frozen=True)
class Estimate:
    """What one trial takes, in bytes where nothing else is said."""

    parameters: int  # how many, the adapter's included
    trainable: int  # of them
    weights: int
    adapter: int  # of the weights: what is trained, and saved
    activations: int  # that a forward pass leaves for the backward pass
    process: int  # what the process takes before a model is loaded

    @property
    def states(self) -> int:
        """Gradients and what AdamW keeps."""
        return (1 + ADAM_STATES) * self.adapter

    @property
    def memory(self) -> int:
        """All of it."""
        return self.weights + self.states + self.activations + self.process


def estimated(config: Config) -> Estimate:
    """Count a trial's parameters and what a training step of them holds.

    Raises:
        UserError: there is no such model, or it lacks modules that the adapter names.
    """
    base = _on_meta(config.model, hardware.precision(config.training.dtype))
    base.requires_grad_(False)
    check_modules(base, config.lora)
    # Some initialisations factorise the weights; what is counted is the same.
    plain = peft_config(replace(config.lora, init_lora_weights=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(base, plain, low_cpu_mem_usage=True)
    trained = [one for one in model.parameters() if one.requires_grad]
    return Estimate(
        parameters=sum(one.numel() for one in model.parameters()),
        trainable=sum(one.numel() for one in trained),
        weights=sum(one.nbytes for one in model.parameters()),
        adapter=sum(one.nbytes for one in trained),
        activations=_activations(model, config),
        process=hardware.memory_in_use(),
    )


def _on_meta(config: ModelConfig, dtype: torch.dtype) -> PreTrainedModel:
    if config.random_llama is not None:
        tokenizer = tiny.byte_tokenizer()
        with torch.device("meta"):
            return tiny.random_llama(config.random_llama, tokenizer).to(dtype=dtype)
    options = {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    path = str(gguf_folder(config)) if config.gguf_file else str(config.path)
    if config.gguf_file:
        options = {"gguf_file": config.gguf_file}
    try:
        shape = AutoConfig.from_pretrained(path, **options)
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(
                shape, dtype=dtype, trust_remote_code=config.trust_remote_code
            )
    except (OSError, ValueError) as error:
        raise UserError(no_such_model(path, error)) from error
    return model


def _activations(model: peft.PeftModel, config: Config) -> int:
    """What autograd saves in a forward pass, and the gradients of the largest of it."""
    training = config.training
    if training.gradient_checkpointing:
        model.enable_input_require_grads()
        model.activation_checkpointing_enable()
    model.train()
    # Tensors are kept, so that no two have had the same address.
    saved: dict[int, torch.Tensor] = {}
    own = {one.untyped_storage()._cdata for one in (*model.parameters(), *model.buffers())}

    def save(tensor: torch.Tensor) -> torch.Tensor:
        if (address := tensor.untyped_storage()._cdata) not in own:
            saved[address] = tensor
        return tensor

    size = training.batch_size, config.data.block_size
    blocks = torch.zeros(size, dtype=torch.long, device="meta")
    # A whole mask: transformers would look into the data to make one.
    mask = torch.ones((size[0], 1, size[1], size[1]), dtype=torch.bool, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        model(input_ids=blocks, labels=blocks, attention_mask=mask, use_cache=False)
    sizes = [one.untyped_storage().nbytes() for one in saved.values()]
    return sum(sizes) + 2 * max(sizes, default=0)
