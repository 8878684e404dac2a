"""Load a base model and its tokenizer, cached per process."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from numpy import float64
from numpy.typing import NDArray
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from ugro.config import ModelConfig, QuantizationConfig
from ugro.errors import UserError, fault
from ugro.trial.hardware import device
from ugro.trial.metrics.metrics import Measured
from ugro.trial.model import random_llama
from ugro.trial.model.gguf_files import dequantised_copy
from ugro.trial.model.kernels import set_kernels
from ugro.trial.model.limits import check_end_token
from ugro.trial.model.quantization import (
    check_checkpoint,
    check_kernels,
    is_quantised,
    keep_layout,
    loading_options,
    method_of_checkpoint,
    on_device,
    release_file,
)
from ugro.trial.parallel.sharding import shard
from ugro.trial.tasks.evaluation import Evaluation

log = logging.getLogger(__name__)
NOT_QUANTISED = QuantizationConfig()


@dataclass
class BaseModel:
    """A frozen base model on its device, with tokenizer and cached evaluations.

    Attributes:
        model: the model; a classifier if there are labels
        tokenizer: its tokenizer
        labels: of its outputs, in order; none for a language model
        evaluations: of the base model, by digest of the evaluated tokens
        measured: metrics of the base model, by ``Metrics.key``
        references: log-probability of each text, nats, by digest of the tokens; infinity: unknown
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...] = ()
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    measured: dict[str, Measured] = field(default_factory=dict)
    references: dict[str, NDArray[float64]] = field(default_factory=dict)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end a generation, from the model's generation config."""
        return _stop_ids(getattr(self.model, "generation_config", None))  # classifiers have none


# Holds at most the model used last by this process, by configuration, dtype, labels, quantisation.
_cache: dict[tuple[str, torch.dtype, tuple[str, ...], str], BaseModel] = {}


def base_model(
    config: ModelConfig,
    dtype: torch.dtype,
    cache_dir: Path,
    labels: tuple[str, ...] = (),
    quantization: QuantizationConfig = NOT_QUANTISED,
    sharded: bool = False,
) -> BaseModel:
    """Return the base model, cached if the previous trial used the same.

    Args:
        config: which model
        dtype: dtype of its weights
        cache_dir: cache of de-quantised models
        labels: of a classifier, in the order of its outputs; none: a language model
        quantization: quantisation of its linear layers
        sharded: share out its weights among the trial's processes

    Raises:
        UserError: the model does not exist or is not accessible, or lacks the configured attention
            or kernels.
    """
    key = repr(config), dtype, labels, repr(quantization)
    if key not in _cache:
        _cache.clear()  # free memory before loading: two models may not fit
        began = time.perf_counter()
        where = torch.device("cpu") if sharded else device()
        base = load(config, dtype, cache_dir, where, labels, quantization)
        set_kernels(base.model, config)
        if sharded:
            shard(base.model)
        log.info("base model loaded in %.1f s", time.perf_counter() - began)
        _cache[key] = base
    return _cache[key]


def base_tokenizer(config: ModelConfig, cache_dir: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer of the base model, from the cached model if it is the same.

    Raises:
        UserError: the model does not exist or is not accessible, or its tokenizer has no EOS token.
    """
    cached = (base.tokenizer for (path, *_), base in _cache.items() if path == repr(config))
    return next(cached, None) or load_tokenizer(config, cache_dir)


def evict_base_model() -> None:
    """Drop the cached model, so that the next trial loads it again."""
    _cache.clear()


def load(
    config: ModelConfig,
    dtype: torch.dtype,
    cache_dir: Path,
    where: torch.device | None = None,
    labels: tuple[str, ...] = (),
    quantization: QuantizationConfig = NOT_QUANTISED,
) -> BaseModel:
    """Load the base model and its tokenizer.

    Args:
        config: which model
        dtype: dtype of its weights
        cache_dir: cache of de-quantised models
        where: device of the model; None: that of trials
        labels: of a classifier, in the order of its outputs; none: a language model
        quantization: quantisation of its linear layers

    Raises:
        UserError: the model does not exist, is not accessible, or is quantised with a method that
            cannot be trained here.
    """
    where = where or device()
    tokenizer = load_tokenizer(config, cache_dir)
    kind, options = model_class(labels)
    of_checkpoint = _checkpoint_options(config, quantization, cache_dir, where)
    quantised = loading_options(quantization, dtype, where) | of_checkpoint
    spread = {} if config.device_map is None else {"device_map": config.device_map}
    if config.random_llama is not None:
        assert isinstance(tokenizer, PreTrainedTokenizerFast)
        model = random_llama.random_llama(config.random_llama, tokenizer, **options)
        model = model.to(dtype=dtype)
        if quantised:
            weights = {"config": model.config, "state_dict": model.state_dict(), "dtype": dtype}
            model = type(model).from_pretrained(None, **weights, **quantised)
            model.name_or_path = ""  # else PEFT looks for a model "None" on the hub
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a classifier's head is new, and the same for all trials
            new_head = {"ignore_mismatched_sizes": True} if labels else {}
            options |= {"dtype": dtype, **new_head, **quantised, **spread}
            model = _pretrained(kind, config, cache_dir, **options)
    if is_quantised(model):
        keep_layout(model)
        release_file(model)
    set_pad_token(model.config, tokenizer.pad_token_id)
    model.requires_grad_(False)
    if spread:
        _check_devices(model)
    is_placed = bool(spread) or is_quantised(model)
    return BaseModel(model if is_placed else model.to(where), tokenizer, labels)


def _check_devices(model: PreTrainedModel) -> None:
    """Refuse a model whose layers do not all fit the GPUs.

    Raises:
        UserError: some are in host memory or on disk.
    """
    placed = getattr(model, "hf_device_map", {})  # a model on one device has none
    outside = [name for name, where in placed.items() if str(where) in ("cpu", "disk")]
    if outside and device().type != "cpu":
        allowed = f"more GPUs or quantization=bnb_nf4: {outside[0]} and {len(outside) - 1} others"
        raise UserError(fault("model.device_map", "these GPUs", f"{allowed} do not fit them"))


def _checkpoint_options(
    config: ModelConfig, quantization: QuantizationConfig, cache_dir: Path, where: torch.device
) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` for a checkpoint that is quantised already.

    Raises:
        UserError: it cannot be trained here.
    """
    if config.gguf_file is not None or config.random_llama is not None:
        return {}
    own = _pretrained(AutoConfig, config, cache_dir)
    check_checkpoint(str(config.path), own, quantization)
    check_kernels(str(config.path), own, where)
    return {} if method_of_checkpoint(own) is None else on_device(where)


def set_pad_token(config: PreTrainedConfig, token: int) -> None:
    """Set the padding token; classifiers of composite models read it from the text's config."""
    config.pad_token_id = config.get_text_config().pad_token_id = token


def model_class(labels: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """Return the class of a model with these labels, and its options; none: a language model."""
    if not labels:
        return AutoModelForCausalLM, {}
    names = dict(enumerate(labels))
    numbers = {label: index for index, label in names.items()}
    return AutoModelForSequenceClassification, {"id2label": names, "label2id": numbers}


def load_tokenizer(config: ModelConfig, cache_dir: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of the base model.

    A missing pad token is replaced by an existing token, which adds no row to the embedding.

    Raises:
        UserError: the model does not exist or is not accessible, or its tokenizer has no EOS token.
    """
    if config.random_llama is not None:
        tokenizer: PreTrainedTokenizerBase = random_llama.byte_tokenizer()
    else:
        tokenizer = _pretrained(AutoTokenizer, config, cache_dir)
    check_end_token(tokenizer)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.unk_token or tokenizer.eos_token
    return tokenizer


def load_stop_ids(config: ModelConfig, cache_dir: Path) -> tuple[int, ...]:
    """Load the tokens that end a generation, without the model's weights.

    Raises:
        UserError: the model does not exist or is not accessible.
    """
    if config.random_llama is not None:
        return (random_llama.byte_tokenizer().eos_token_id,)
    path = str(dequantised_copy(config, cache_dir) if config.gguf_file else config.path)
    options = {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    try:
        return _stop_ids(GenerationConfig.from_pretrained(path, **options))
    except (OSError, ValueError):  # the model has no file of its own for it
        own = _pretrained(AutoConfig, config, cache_dir)
        return _stop_ids(GenerationConfig.from_model_config(own))


def _stop_ids(generation: GenerationConfig | None) -> tuple[int, ...]:
    given = getattr(generation, "eos_token_id", None)
    return tuple(given) if isinstance(given, list) else () if given is None else (given,)


def _pretrained(kind: Any, config: ModelConfig, cache_dir: Path, **options: Any) -> Any:
    """Load with transformers; HF_TOKEN in the environment opens gated models."""
    path = str(dequantised_copy(config, cache_dir) if config.gguf_file else config.path)
    options |= {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    try:
        return kind.from_pretrained(path, **options)
    except (OSError, ValueError) as error:
        raise UserError(no_such_model(path, error)) from error


def no_such_model(path: str, error: Exception) -> str:
    """Return the error message for a model that does not exist or is not accessible."""
    allowed = "a hub id that HF_TOKEN may read, or a folder that save_pretrained wrote"
    reason = str(error).strip().splitlines()[0]
    return f"{fault('model.path', path, allowed)} ({reason})"
