"""Load a base model and its tokenizer, once per process, and keep them warm."""

import importlib.util
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ugro.config import ModelConfig
from ugro.errors import UserError, fault
from ugro.trial import tiny
from ugro.trial.cache import made_once
from ugro.trial.evaluation import Evaluation
from ugro.trial.hardware import device

log = logging.getLogger(__name__)


@dataclass
class BaseModel:
    """A frozen base model on its device, and what is known of it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    # Its own, by the digest of the tokens that it was evaluated on.
    evaluations: dict[str, Evaluation] = field(default_factory=dict)


_warm: dict[str, BaseModel] = {}  # at most one: the last one used by this process


def base_model(config: ModelConfig, dtype: torch.dtype, cache_dir: Path) -> BaseModel:
    """The base model, from this process's memory if the last trial used the same.

    Raises:
        UserError: there is no such model, or it may not be read.
    """
    key = repr((asdict(config), dtype))
    if key not in _warm:
        _warm.clear()  # before the next one is loaded: two may not fit
        _warm[key] = load(config, dtype, cache_dir)
    return _warm[key]


def forget() -> None:
    """Drop the kept model: the next trial reads it anew."""
    _warm.clear()


def load(config: ModelConfig, dtype: torch.dtype, cache_dir: Path) -> BaseModel:
    """Read the base model, its tokenizer with a pad token that adds no row to the embedding.

    Raises:
        UserError: there is no such model, or it may not be read.
    """
    if config.random_llama is not None:
        tokenizer = tiny.byte_tokenizer()
        model = tiny.random_llama(config.random_llama, tokenizer).to(dtype=dtype)
    else:
        folder = _dequantised(config, cache_dir) if config.gguf_file else config.path
        tokenizer, model = _pretrained(str(folder), config, dtype)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.unk_token or tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    model.requires_grad_(False)
    return BaseModel(model.to(device()), tokenizer)


def _pretrained(
    path: str, config: ModelConfig, dtype: torch.dtype
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """transformers' own loading; HF_TOKEN in the environment opens gated models."""
    options = {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, **options)
    except (OSError, ValueError) as error:
        raise UserError(no_such_model(path, error)) from error
    return tokenizer, model


def no_such_model(path: str, error: Exception) -> str:
    """A line for a model that transformers does not find or may not read."""
    allowed = "a hub id that HF_TOKEN may read, or a folder that save_pretrained wrote"
    reason = str(error).strip().splitlines()[0]
    return f"{fault('model.path', path, allowed)} ({reason})"


def _dequantised(config: ModelConfig, cache_dir: Path) -> Path:
    """A safetensors copy of the GGUF file: 15 s to make, a second to read from then on."""
    source = gguf_folder(config)
    assert config.gguf_file is not None
    stamp = (source / config.gguf_file).stat()
    copy = cache_dir / "models" / f"{Path(config.gguf_file).stem}-{stamp.st_size}"

    def write(folder: Path) -> None:
        log.info("De-quantising %s, once", config.gguf_file)
        name = config.gguf_file
        AutoTokenizer.from_pretrained(source, gguf_file=name).save_pretrained(folder)
        AutoModelForCausalLM.from_pretrained(
            source,
            gguf_file=name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),  # else it cannot be saved
        ).save_pretrained(folder)

    made_once(copy, write)
    return copy


def gguf_folder(config: ModelConfig) -> Path:
    """Where the GGUF file is.

    Raises:
        UserError: it is not there.
    """
    if config.package is None:
        folder = Path(config.path or ".")
    else:
        # Found, not imported: a package that ships a model may need much more to be imported.
        spec = importlib.util.find_spec(config.package)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(
                fault("model.package", config.package, "an installed package; run: make setup")
            )
        folder = Path(spec.submodule_search_locations[0])
    if not (folder / str(config.gguf_file)).is_file():
        raise UserError(fault("model.gguf_file", config.gguf_file, f"a file in {folder}"))
    return folder
