"""What was exported, as the model card describes it."""

from dataclasses import dataclass
from pathlib import Path

from ugro.config import ModelConfig, QuantizationConfig


@dataclass(frozen=True)
class Exported:
    """An exported trial.

    Attributes:
        number: the trial
        format: ``adapter``, ``merged`` or ``gguf``
        dtype: of the weights: ``fp32``, ``bf16`` or ``fp16``
        location: folder or hub id that users load
        base: the base model, at the commit that the trial ran with
        quantization: its quantisation in training
        precision: dtype of its weights that were not quantised, ``bfloat16``
        license: licence of the base model; None if unknown
        conversations: whether the trial was trained on conversations
        labels: labels of a classifier, in the order of its outputs; none of a language model
        checked: how the exported files were compared with the trial, sentences
        file: name of the GGUF file
        stop_tokens: tokens that end an answer, if the exported model's generation config lacks one
    """

    number: int
    format: str
    dtype: str
    location: str
    base: ModelConfig
    quantization: QuantizationConfig
    precision: str
    license: str | None
    conversations: bool
    labels: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    file: str = ""
    stop_tokens: tuple[str, ...] = ()

    @property
    def hub_id(self) -> str | None:
        """Hub id of the base model; None for a folder, a GGUF file or a random model."""
        is_file = self.base.gguf_file is not None or self.base.random_llama is not None
        return None if is_file or self.base_is_folder else self.base.path

    @property
    def base_is_folder(self) -> bool:
        """Whether the base model is a folder of ``save_pretrained``."""
        return self.base.path is not None and Path(self.base.path).exists()

    @property
    def base_name(self) -> str:
        """Name of the base model for people."""
        if self.base.random_llama is not None:
            return "a random Llama"
        if self.base.gguf_file is not None:
            return self.base.gguf_file.removesuffix(".gguf")
        return str(self.base.path)
