"""Add an adapter to the base model, save it, and restore the base model afterwards."""

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from weakref import WeakKeyDictionary

import peft
import torch
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from ugro.config import AnyAdapter, LoraConfig, name_of
from ugro.errors import UserError
from ugro.retries import one_line
from ugro.trial.adaptive_ranks import rank_pattern
from ugro.trial.data.rows import Rows
from ugro.trial.model.base_models import BaseModel, evict_base_model
from ugro.trial.model.eva import initialize_by_data
from ugro.trial.model.peft_config import peft_config
from ugro.trial.model.quantised_targets import check_quantised
from ugro.trial.model.quantization import is_quantised
from ugro.trial.model.target_modules import check_modules, is_eva, rank_of, warn_about_frozen
from ugro.trial.parallel import group
from ugro.trial.parallel.sharding import check_trained

# Initialisations that subtract the adapter's start from the base weights.
REWRITES_BASE = ("pissa", "olora")
ROWS = ("lora_A", "lora_embedding_A")  # [r, in]
COLUMNS = ("lora_B", "lora_embedding_B")  # [out, r]

# Initial states of adapters whose initialisation rewrites the base weights.
_initial_states: WeakKeyDictionary[nn.Module, dict[str, Tensor]] = WeakKeyDictionary()


@contextmanager
def adapted(
    base: BaseModel, config: AnyAdapter, rows: Rows | None = None
) -> Iterator[peft.PeftModel]:
    """Yield the base model with a new adapter; restore the base model on exit.

    All trainable parameters are float32. Where the base model cannot be restored (its weights
    were rewritten by the initialisation, or adapter or trial failed), it is dropped from the
    cache instead.

    Args:
        base: the base model
        config: configuration of the adapter
        rows: the training rows in their order, for an initialisation by data

    Raises:
        UserError: the model lacks the named modules, or PEFT refuses the adapter.
    """
    check_modules(base.model, config)
    if is_quantised(base.model):
        check_quantised(base.model, config)
    try:
        with _injected(base, config, rows) as model:
            yield model
    except BaseException:
        evict_base_model()
        raise
    if rewrites_base(config):
        evict_base_model()


def rewrites_base(config: AnyAdapter) -> bool:
    """Return whether the adapter's initialisation changes the base weights."""
    return isinstance(config, LoraConfig) and str(config.init_lora_weights).lower().startswith(
        REWRITES_BASE
    )


@contextmanager
def _injected(base: BaseModel, config: AnyAdapter, rows: Rows | None) -> Iterator[peft.PeftModel]:
    use_cache = base.model.config.use_cache
    model = add_adapter(base.model, config)
    if isinstance(config, LoraConfig) and is_eva(config) and rows is not None:
        initialize_by_data(model, config, rows)
    warn_about_frozen(model, config)
    check_trained(model)
    group.copy_from_first(model.parameters())
    if rewrites_base(config):
        _initial_states[model] = _state(model)
    with trained_in_float32(model):
        yield model
    base.model.activation_checkpointing_disable()
    base.model.config.use_cache = use_cache
    model.delete_adapter("default")  # unload() alone would keep the trained modules_to_save
    base.model = model.unload()
    base.model.requires_grad_(False)


def add_adapter(
    model: PreTrainedModel, config: AnyAdapter, on_meta: bool = False
) -> peft.PeftModel:
    """Add a new adapter to a model.

    Args:
        model: model whose modules are replaced in place
        config: configuration of the adapter
        on_meta: create the adapter on the meta device, without initialisation

    Raises:
        UserError: PEFT refuses the adapter.
    """
    where: AbstractContextManager[object] = nullcontext()
    try:
        built = peft_config(config, model)
        if on_meta:
            where = _on_meta(built)
        with warnings.catch_warnings(), where:
            warnings.simplefilter("ignore")  # about options set here, such as fan_in_fan_out
            return peft.get_peft_model(model, built)
    except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
        refusal = f"{name_of(config)}: PEFT cannot put this adapter onto {type(model).__name__}"
        raise UserError(f"{refusal} ({one_line(error)})") from error


def _on_meta(config: peft.PeftConfig) -> AbstractContextManager[object]:
    """Prepare an adapter's configuration for the meta device, and return where to create it.

    PEFT's low_cpu_mem_usage would untie tied weights.
    """
    if isinstance(config, peft.LoraConfig):
        config.init_lora_weights = True  # others read the base weights
    elif isinstance(config, peft.ShiraConfig):
        config.mask_fn = _mask_on_meta
    elif isinstance(config, peft.BOFTConfig):
        return nullcontext()  # it reads what it computes, and moves to the base model's device
    return torch.device("meta")


def _mask_on_meta(layer: nn.Linear, r: int, **_: object) -> Tensor:
    """Return a mask of SHiRA with the right number of weights, all chosen."""
    return torch.ones(1, r * sum(layer.weight.shape))


@contextmanager
def trained_in_float32(model: peft.PeftModel) -> Iterator[None]:
    """Cast all trainable parameters to float32; restore the base tensors on exit.

    PEFT casts only its own layers. In half precision, small updates of modules_to_save and biases
    are lost in rounding, and fp16's gradient scaler refuses them.
    """
    kept: dict[nn.Parameter, Tensor] = {}
    widened = bool(model.peft_config["default"].modules_to_save)
    of_adapter = (model.base_model.prefix, "modules_to_save")  # in the names of new modules
    for name, module in model.named_modules():
        is_new = any(part in name for part in of_adapter)
        for parameter in _to_cast(module, widened):
            if not is_new and parameter not in kept:
                kept[parameter] = parameter.data
                parameter.data = parameter.data.clone()
            parameter.data = parameter.data.float()
    yield
    for parameter, data in kept.items():
        parameter.data = data


def _to_cast(module: nn.Module, widened: bool) -> list[nn.Parameter]:
    """Return a module's trainable parameters, or all of a LayerNorm that may see float32.

    The CPU kernel of LayerNorm requires a single dtype. Its bias may be trained, or its input is
    float32 because an embedding in modules_to_save (``widened``) outputs float32.
    """
    own = list(module.parameters(recurse=False))
    trained = [tensor for tensor in own if tensor.requires_grad]
    return own if isinstance(module, nn.LayerNorm) and (trained or widened) else trained


def save_adapter(model: peft.PeftModel, folder: Path) -> None:
    """Save the adapter so that PEFT loads it onto the unmodified base model.

    PiSSA and OLoRA change the base weights W to W - s B0 A0. The saved adapter is standard LoRA of
    twice the rank, W + s [B | -B0] [A ; A0]. PEFT's own conversion
    (``path_initial_model_for_weight_conversion``) computes the same sum but omits DoRA magnitudes,
    biases, embeddings and modules_to_save.
    """
    built = model.peft_config["default"]
    if isinstance(built, peft.AdaLoraConfig):
        built.rank_pattern = rank_pattern(model)  # drops the ranks that are not in use
    # Embeddings are those of the base model; PEFT would ask the hub whether they changed.
    model.save_pretrained(str(folder), save_embedding_layers=False)
    initial = _initial_states.get(model)
    if initial is None:
        return
    config = copy.deepcopy(model.peft_config["default"])
    trained = _state(model)
    doubled = {
        name: _doubled(name, trained[name], initial, rank_of(config, name.partition(".lora_")[0]))
        for name in trained
    }
    save_file(doubled, folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
    config.init_lora_weights = True
    config.r *= 2
    config.rank_pattern = {name: 2 * rank for name, rank in config.rank_pattern.items()}
    factor = 2**0.5 if config.use_rslora else 2  # keeps the scale
    config.lora_alpha *= factor
    config.alpha_pattern = {name: factor * one for name, one in config.alpha_pattern.items()}
    config.inference_mode = True
    config.save_pretrained(str(folder))


def _state(model: peft.PeftModel) -> dict[str, Tensor]:
    """Return the adapter's tensors, copied to host memory, under PEFT's saved names."""
    state = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()
    }


def _doubled(name: str, trained: Tensor, initial: Mapping[str, Tensor], r: int) -> Tensor:
    """Return [A ; A0] or [B | -B0], zero-padded where a weight's rank is below r."""
    if any(part in name for part in ROWS):
        both = torch.cat([trained, initial[name]])
        return functional.pad(both, (0, 0, 0, 2 * r - len(both)))
    if any(part in name for part in COLUMNS):
        both = torch.cat([trained, -initial[name]], dim=1)
        return functional.pad(both, (0, 2 * r - both.shape[1]))
    return trained
