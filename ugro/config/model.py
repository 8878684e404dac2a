"""Schema of the base model."""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class RandomLlamaConfig:
    """A randomly initialised Llama with a byte-level tokenizer."""

    hidden_size: int = MISSING
    """Width of the hidden states."""

    intermediate_size: int = MISSING
    """Width of the MLP."""

    num_hidden_layers: int = MISSING
    """Number of transformer layers."""

    num_attention_heads: int = MISSING
    """Number of attention heads."""

    num_key_value_heads: int = MISSING
    """Number of key and value heads."""

    max_position_embeddings: int = MISSING
    """Longest row that the model accepts. [tokens]"""

    seed: int = MISSING
    """Seed of the base model's weights, independent of the trial's seed."""


@dataclass
class ModelConfig:
    """The base model: a hub id, a folder, a GGUF file or a random Llama."""

    path: str | None = None
    """Hub id, or a folder written by save_pretrained."""

    revision: str | None = None
    """Branch, tag or commit of a hub model; null: the default branch."""

    package: str | None = None
    """Installed Python package that ships gguf_file."""

    gguf_file: str | None = None
    """GGUF file inside package, or inside path."""

    random_llama: RandomLlamaConfig | None = None
    """Shape of a random Llama, used instead of path."""

    trust_remote_code: bool = False
    """Allow Python code from the model's repository to run."""

    attn_implementation: str | None = None
    """Attention in trials, by its name in transformers: eager, sdpa, flash_attention_2,
    flex_attention, ...; null: transformers' choice, sdpa where the model has it."""

    device_map: str | None = None
    """Spread the layers over the GPUs of the trial, which then compute in turn, for a model that
    does not fit one: auto, balanced, balanced_low_0 or sequential, as in transformers; null: one
    GPU."""

    liger_kernel: bool = False
    """Use Liger's kernels for norms, MLPs and rotary embeddings, on a GPU."""

    linear_modules: list[str] | None = None
    """Module names allowed in lora.target_modules; null: checked once the model is loaded."""
