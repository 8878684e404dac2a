"""Export a trial's adapter, as PEFT loads it or merged into its base model."""

import gc
import shutil
from dataclasses import dataclass
from pathlib import Path

import peft
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ugro.config import Config, ModelConfig
from ugro.errors import UserError
from ugro.formatting import binary_size
from ugro.paths import ADAPTER
from ugro.trial.data.preparation import with_chat_template
from ugro.trial.generation.generate import end_ids
from ugro.trial.model import base_models
from ugro.trial.model.quantization import dequantise, is_quantised

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TOLERANCE = 1e-4  # of the logits in fp32, as a share of the largest where that exceeds 1
PROBED = 64  # tokens per row of the probe
TEXT = "The quick brown fox jumps over the lazy dog. 12 + 30 = 42; déjà vu.\n"
CPU = torch.device("cpu")  # its memory holds what a GPU's may not: float32, no optimizer


@dataclass(frozen=True)
class Agreement:
    """Comparison of an exported model's logits with those of the adapter on its base model.

    Attributes:
        difference: largest absolute difference of a logit
        largest: largest absolute logit
        same_choice: share of positions at which the most likely token, or label, is the same
    """

    difference: float
    largest: float
    same_choice: float

    def check(self, dtype: str) -> None:
        """Refuse a difference that float32 does not explain.

        Raises:
            UserError: the exported model is another one.
        """
        if dtype == "fp32" and not self.difference <= TOLERANCE * max(1.0, self.largest):
            raise UserError(
                f"the exported model's logits differ by {self.difference:.2g} from those of the "
                f"adapter on its base model, allowed: {TOLERANCE * max(1.0, self.largest):.2g}"
            )


@dataclass(frozen=True)
class Probe:
    """Inputs, and the logits of the adapter on its base model.

    Attributes:
        ids: tokens of a text, and tokens of the whole vocabulary, [2, PROBED]
        logits: [2, PROBED, vocabulary]; of a classifier [2, labels]
    """

    ids: Tensor
    logits: Tensor

    def agreement(self, model: nn.Module) -> Agreement:
        """Compare the logits of a model that was loaded from an export."""
        found = logits(model, self.ids)
        shared = min(found.shape[-1], self.logits.shape[-1])  # a format may pad the vocabulary
        found, expected = found[..., :shared], self.logits[..., :shared]
        return Agreement(
            difference=float((found - expected).abs().max()),
            largest=float(expected.abs().max()),
            same_choice=float((found.argmax(-1) == expected.argmax(-1)).double().mean()),
        )


def export_adapter(config: Config, folder: Path, into: Path, dtype: str) -> None:
    """Write the adapter with its tokenizer in PEFT's format.

    Args:
        config: configuration of the trial
        folder: folder of the trial, with ``adapter/``
        into: existing folder to write to
        dtype: a key of ``DTYPES``
    """
    described = peft.PeftConfig.from_pretrained(str(folder / ADAPTER))
    described.base_model_name_or_path = _loadable(config.model)
    described.revision = config.model.revision if described.base_model_name_or_path else None
    described.inference_mode = True
    described.save_pretrained(str(into))
    trained = load_file(folder / ADAPTER / SAFETENSORS_WEIGHTS_NAME)
    cast = {name: tensor.to(DTYPES[dtype]) for name, tensor in trained.items()}
    save_file(cast, into / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
    _tokenizer(config).save_pretrained(into)


@dataclass(frozen=True)
class Merged:
    """A merged model that was written.

    Attributes:
        probe: inputs, and the logits of the adapter on its base model, de-quantised
        agreement: comparison of the written model, loaded again
        as_trained: comparison with the adapter on the quantised base model; None if it is not
    """

    probe: Probe
    agreement: Agreement
    as_trained: Agreement | None


def export_merged(
    config: Config,
    folder: Path,
    into: Path,
    dtype: str,
    copies: int = 1,
    labels: tuple[str, ...] = (),
) -> Merged:
    """Write the base model with the adapter merged in float32, then cast.

    A quantised base model is de-quantised: its weights are those of training, not the original's.

    Args:
        config: configuration of the trial
        folder: folder of the trial, with ``adapter/``
        into: existing folder to write to
        dtype: a key of ``DTYPES``
        copies: number of models of this size that the disk has to hold
        labels: labels of a classifier, in the order of its outputs; none of a language model

    Raises:
        UserError: the disk is too small, or the written model is another one.
    """
    base = _base(config, labels)
    tokenizer = with_chat_template(base.tokenizer, config.data.chat_template)
    ids = _probe_ids(tokenizer, base.model)
    quantised = None
    if is_quantised(base.model):
        quantised = logits(peft.PeftModel.from_pretrained(base.model, folder / ADAPTER), ids)
        del base
        base = _base(config, labels)  # without the adapter
        dequantise(base.model)
    adapted = peft.PeftModel.from_pretrained(base.model, folder / ADAPTER).eval()
    probe = Probe(ids, logits(adapted, ids))
    _check_disk(adapted, DTYPES[dtype], into, copies)
    merged = merge(adapted).to(DTYPES[dtype])
    if not labels:
        _end_answers(merged, end_ids(tokenizer, base.stop_ids))
    merged.save_pretrained(into)
    tokenizer.save_pretrained(into)
    del base, adapted, merged
    gc.collect()  # before the model is loaded again: two may not fit
    # Computed in float32: what is compared is the written weights, not a server's arithmetic.
    kind, _ = base_models.model_class(labels)
    written = kind.from_pretrained(
        into, dtype=torch.float32, trust_remote_code=config.model.trust_remote_code
    )
    agreement = probe.agreement(written)
    agreement.check(dtype)
    return Merged(
        probe, agreement, None if quantised is None else Probe(ids, quantised).agreement(written)
    )


def _base(config: Config, labels: tuple[str, ...]) -> base_models.BaseModel:
    return base_models.load(
        config.model, torch.float32, _cache(config), CPU, labels, config.quantization
    )


def stop_tokens(config: Config, form: str) -> tuple[str, ...]:
    """Return the tokens that end an answer; none if the exported model's generation config has all.

    That of a merged model has. An adapter comes with that of its base model, which lacks the token
    with which the chat template ends a turn if the base model was trained without the template; a
    GGUF file names a single token.

    Args:
        config: configuration of the trial
        form: ``adapter``, ``merged`` or ``gguf``
    """
    tokenizer = _tokenizer(config)
    stop_ids = base_models.load_stop_ids(config.model, _cache(config))
    ends = end_ids(tokenizer, stop_ids)
    is_known = {"adapter": set(ends) <= {*stop_ids}, "merged": True, "gguf": len(ends) == 1}
    return () if is_known[form] else tuple(tokenizer.convert_ids_to_tokens(ends))


def merge(model: peft.PeftModel) -> PreTrainedModel:
    """Merge the adapter into the base model, in place.

    PEFT would merge an adapter of an embedding into the output weights, too, where the two are
    tied: they are separated first.
    """
    base = model.get_base_model()
    ends = [base.get_input_embeddings(), base.get_output_embeddings()]
    layers = [end.get_base_layer() if isinstance(end, BaseTunerLayer) else end for end in ends]
    is_adapted = any(isinstance(end, BaseTunerLayer) for end in ends)
    if is_adapted and layers[1] is not None and layers[0].weight is layers[1].weight:
        layers[1].weight = nn.Parameter(layers[1].weight.clone(), requires_grad=False)
        for config in (base.config, base.config.get_text_config()):
            config.tie_word_embeddings = False
    merged: PreTrainedModel = model.merge_and_unload(safe_merge=True)
    return merged


@torch.no_grad()
def logits(model: nn.Module, ids: Tensor) -> Tensor:
    """Return a model's logits in float32 on the CPU, [rows, tokens, vocabulary]."""
    found: Tensor = model.eval()(input_ids=ids).logits
    return found.float().cpu()


def _probe_ids(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> Tensor:
    rows = model.get_input_embeddings().weight.shape[0]
    said = tokenizer(TEXT, add_special_tokens=False)["input_ids"] * PROBED
    return torch.stack(
        [torch.tensor(said[:PROBED]), torch.linspace(0, rows - 1, PROBED).to(torch.long)]
    )


def _end_answers(model: PreTrainedModel, ends: list[int]) -> None:
    """Write the tokens that end an answer into the generation config."""
    generation = model.generation_config
    assert generation is not None
    generation.eos_token_id = ends[0] if len(ends) == 1 else ends
    generation.pad_token_id = model.config.pad_token_id
    try:
        generation.validate(strict=True)
    except ValueError:  # Llama 2 has a temperature without do_sample, which is not saved
        generation.do_sample = True


def _check_disk(model: nn.Module, dtype: torch.dtype, into: Path, copies: int) -> None:
    needs = copies * dtype.itemsize * sum(tensor.numel() for tensor in model.parameters())
    free = shutil.disk_usage(into).free
    if needs > free:
        there = f"the disk of {into.parent} has {binary_size(free)} free"
        raise UserError(f"to: {binary_size(needs)} are needed, {there}")


def _loadable(config: ModelConfig) -> str | None:
    """Return the hub id or the absolute path of the base model; None if it has none."""
    if config.random_llama is not None or config.gguf_file is not None or config.path is None:
        return None
    return str(Path(config.path).resolve()) if Path(config.path).exists() else config.path


def _tokenizer(config: Config) -> PreTrainedTokenizerBase:
    tokenizer = base_models.load_tokenizer(config.model, _cache(config))
    return with_chat_template(tokenizer, config.data.chat_template)


def _cache(config: Config) -> Path:
    return Path(config.cache_dir).expanduser()
