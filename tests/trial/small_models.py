"""Small random models in the format of ``save_pretrained``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
)

from ugro.config import RandomLlamaConfig
from ugro.trial.model.random_llama import byte_tokenizer, random_llama

VOCABULARY = len(byte_tokenizer())
POSITIONS = 64
SIZE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
}


def _gpt2() -> PreTrainedModel:
    """Conv1D layers with biases, learned positions, tied embeddings."""
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS}
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, **shape))


def _llama(**others: Any) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SIZE, **others))


def _qwen2() -> PreTrainedModel:
    """Biases that a random model starts at 0; here they are not."""
    model = Qwen2ForCausalLM(Qwen2Config(**SIZE))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def _mixtral() -> PreTrainedModel:
    return MixtralForCausalLM(MixtralConfig(**SIZE, num_local_experts=4, num_experts_per_tok=2))


def _qwen2moe() -> PreTrainedModel:
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    return Qwen2MoeForCausalLM(
        Qwen2MoeConfig(**SIZE, **experts, shared_expert_intermediate_size=16)
    )


KINDS: dict[str, Callable[[], PreTrainedModel]] = {
    "gpt2": _gpt2,
    "llama": _llama,
    "llama_tied": lambda: _llama(tie_word_embeddings=True),
    "qwen2": _qwen2,
    "mixtral": _mixtral,
    "qwen2moe": _qwen2moe,
}


def small_model(kind: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Return a frozen, deterministic random model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return KINDS[kind]().to(dtype).requires_grad_(False).eval()


def saved_model(kind: str, folder: Path) -> Path:
    """Return a folder with a model and a tokenizer."""
    small_model(kind).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def saved_tiny(
    shape: RandomLlamaConfig | None, folder: Path, tokenizer: PreTrainedTokenizerFast | None = None
) -> Path:
    """Return a folder with a random Llama, as ``model=tiny`` has, and a tokenizer.

    Args:
        shape: of the model
        folder: for the files
        tokenizer: a byte tokenizer by default
    """
    assert shape is not None
    tokenizer = tokenizer or byte_tokenizer()
    tokenizer.save_pretrained(folder)
    random_llama(shape, tokenizer).save_pretrained(folder)
    return folder
