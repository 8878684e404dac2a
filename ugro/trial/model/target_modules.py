"""Resolve and check the modules that receive an adapter."""

import logging
import re
from collections.abc import Iterable, Iterator

import peft
import torch
from peft.tuners.lora import LoraModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.constants import SEQ_CLS_HEAD_NAMES
from peft.utils.other import EMBEDDING_LAYER_NAMES, ModulesToSaveWrapper, get_pattern_key
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ugro.config import AnyAdapter, LoraConfig, name_of
from ugro.errors import UserError, fault

log = logging.getLogger(__name__)

ALL_LINEAR = "all-linear"
TARGETS = "lora.target_modules"
LAYER = re.compile(r"^.*\.\d+\.")  # model.layers.0. of model.layers.0.mlp.experts.down_proj


def lora_config(config: LoraConfig, model: PreTrainedModel) -> peft.LoraConfig:
    """Translate the adapter configuration into PEFT's class for this model.

    Fused experts are 3-dimensional parameters, not modules: all-linear lists them in
    ``target_parameters`` where PEFT can adapt them (https://github.com/huggingface/peft/issues/3009).
    A name such as ``experts.down_proj`` selects them, too.

    Raises:
        UserError: PEFT cannot translate the target modules for this model.
    """
    chosen = config.layers_to_transform
    experts = {
        name: size
        for name, size in expert_parameters(model).items()
        if chosen is None or _layer(name) in chosen
    }
    modules, parameters = _targets(config, model, experts)
    parameters = list(dict.fromkeys([*parameters, *config.target_parameters]))
    saved = config.modules_to_save
    built = peft.LoraConfig(
        task_type="SEQ_CLS" if is_classifier(model) else "CAUSAL_LM",
        r=config.r,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=modules,
        target_parameters=parameters or None,
        bias=config.bias.name,
        modules_to_save=list(saved) if saved else None,
        ensure_weight_tying=keep_tied(model, saved or []),
        use_rslora=config.use_rslora,
        use_dora=config.use_dora,
        init_lora_weights=config.init_lora_weights,
        eva_config=_eva_config(config),
        rank_pattern=dict(config.rank_pattern),
        alpha_pattern=dict(config.alpha_pattern),
        layers_to_transform=_layers(config),
    )
    try:
        convert_peft_config_for_transformers(built, model, None)
    except ValueError as error:
        allowed = "modules that PEFT can adapt together"
        raise UserError(f"{fault(TARGETS, _join(modules), allowed)} ({error})") from error
    return built


def _targets(
    config: LoraConfig, model: PreTrainedModel, experts: dict[str, int]
) -> tuple[list[str] | str, list[str]]:
    """Return ``target_modules`` and ``target_parameters``."""
    if config.target_modules != ALL_LINEAR:
        modules = [name for name, _ in model.named_modules()]
        listed = [str(name) for name in config.target_modules]
        of_experts = [n for n in listed if matches(n, experts) and not matches(n, modules)]
        return [name for name in listed if name not in of_experts], of_experts
    if config.layers_to_transform is not None:  # PEFT takes no all-linear then, and all experts
        kinds = {LAYER.sub("", name) for name in _linear(model) if LAYER.match(name)}
        return sorted(kinds), sorted(experts) if expert_limit(config) is None else []
    if not experts:
        return ALL_LINEAR, []
    if expert_limit(config) is not None:
        return list(_linear(model)), []  # PEFT's all-linear adds the experts of some models
    return ALL_LINEAR, sorted({LAYER.sub("", name) for name in experts})


def _layer(name: str) -> int | None:
    """Return the number of the layer that a module or parameter is in."""
    found = LAYER.match(name)
    return int(found[0].split(".")[-2]) if found else None


def _layers(config: LoraConfig) -> list[int] | None:
    return None if config.layers_to_transform is None else list(config.layers_to_transform)


def rank_of(config: LoraConfig | peft.LoraConfig, module: str) -> int:
    """Return the rank of a module's adapter, by its own name or with a prefix."""
    ranks: dict[str, int] = config.rank_pattern
    return ranks.get(get_pattern_key(list(ranks), module), config.r)


def _eva_config(config: LoraConfig) -> peft.EvaConfig | None:
    return peft.EvaConfig(rho=config.eva_rho) if is_eva(config) else None


def is_eva(config: AnyAdapter) -> bool:
    """Return whether the adapter's initialisation depends on the data."""
    return isinstance(config, LoraConfig) and config.init_lora_weights == "eva"


def expert_parameters(model: nn.Module) -> dict[str, int]:
    """Map the names of fused expert weights, [experts, in, out], to their sizes."""
    return {
        f"{name}.{own}": parameter.numel()
        for name, module in model.named_modules()
        if getattr(module, "num_experts", None) or type(module).__name__.endswith("Experts")
        for own, parameter in module.named_parameters(recurse=False)
        if parameter.ndim == 3
    }


def expert_limit(config: LoraConfig) -> tuple[str, object, str] | None:
    """Return key, value and allowed values of the option that prevents expert adapters, if any."""
    if config.dropout:
        return "lora.dropout", config.dropout, "0"
    if config.use_dora:
        return "lora.use_dora", config.use_dora, "false"
    if str(config.init_lora_weights).lower() not in ("true", "false", "gaussian"):
        return "lora.init_lora_weights", config.init_lora_weights, "true, false or gaussian"
    return None


def check_modules(model: PreTrainedModel, config: AnyAdapter) -> None:
    """Refuse names without a match, and modules that PEFT cannot adapt.

    PEFT requires only a single match among all names, so a misspelt name would pass.

    Raises:
        UserError: a name matches no module, or a module that cannot be adapted.
    """
    modules = dict(model.named_modules())
    if is_classifier(model) and not any(name in modules for name in SEQ_CLS_HEAD_NAMES):
        allowed = f"a model whose classifier PEFT trains, named {' or '.join(SEQ_CLS_HEAD_NAMES)}"
        raise UserError(fault("model.path", type(model).__name__, allowed))
    for name in config.modules_to_save or []:
        if not matches(name, modules):
            key = f"{name_of(config)}.modules_to_save"
            raise UserError(fault(key, name, f"of {_adaptable_modules(model)}"))
    if not isinstance(config, LoraConfig):
        _check_names(model, config)
        return
    built = lora_config(config, model)
    if config.target_modules != ALL_LINEAR or config.target_parameters:
        _check_targets(model, config, built)
    _check_patterns(model, config)
    _check_initialisation(model, config, built)


def _check_patterns(model: PreTrainedModel, config: LoraConfig) -> None:
    """Refuse patterns and layers that match nothing, which PEFT ignores."""
    names = [name for name, _ in model.named_modules()]
    for key in ("rank_pattern", "alpha_pattern"):
        for pattern in getattr(config, key):
            if not any(re.match(rf"(.*\.)?({pattern})$", name) for name in names):
                allowed = f"names or patterns of {_adaptable_modules(model)}"
                raise UserError(fault(f"lora.{key}", pattern, allowed))
    layers = model.config.get_text_config().num_hidden_layers
    for layer in config.layers_to_transform or []:
        if layer >= layers:
            raise UserError(fault("lora.layers_to_transform", layer, f"0 to {layers - 1}"))


def _check_names(model: PreTrainedModel, config: AnyAdapter) -> None:
    """Refuse names of target modules that the model lacks; PEFT tells which kinds it can adapt."""
    modules = [name for name, _ in model.named_modules()]
    for name in config.target_modules if isinstance(config.target_modules, list) else ():
        if not matches(name, modules):
            kinds = sorted({known.rpartition(".")[2] for known in modules} - {""})
            allowed = f"{ALL_LINEAR}, or of {', '.join(kind for kind in kinds if kind[0] > '9')}"
            raise UserError(fault(f"{name_of(config)}.target_modules", name, allowed))


def _check_targets(model: PreTrainedModel, config: LoraConfig, built: peft.LoraConfig) -> None:
    modules = dict(model.named_modules())
    parameters = {name for name, _ in model.named_parameters()}
    if built.target_parameters and (limit := expert_limit(config)):
        key, given, allowed = limit
        raise UserError(fault(key, given, f"{allowed}, as {TARGETS} names experts"))
    for name in sorted(built.target_parameters or []):
        if not matches(name, parameters):
            raise UserError(
                fault(TARGETS, name, f"{ALL_LINEAR}, or of {_adaptable_modules(model)}")
            )
    for name in built.target_modules or []:
        found = [modules[candidate] for candidate in matches(name, modules)]
        fixed = sorted(
            {type(candidate).__name__ for candidate in found if not can_be_adapted(candidate)}
        )
        if fixed or not found:
            allowed = f"{ALL_LINEAR}, or of {_adaptable_modules(model)}"
            is_no = f"; {name} is of the kind {', '.join(fixed)}" if fixed else ""
            raise UserError(fault(TARGETS, name, f"{allowed}{is_no}"))


def _check_initialisation(
    model: PreTrainedModel, config: LoraConfig, built: peft.LoraConfig
) -> None:
    """Refuse settings with which PEFT's initialisations fail or compute wrong weights."""
    initialisation = str(config.init_lora_weights).lower()
    modules = dict(model.named_modules())
    names = list(_linear(model))
    if config.target_modules != ALL_LINEAR:
        wanted = built.target_modules or []
        names = [name for name in names if any(matches(candidate, [name]) for candidate in wanted)]
    odd = [rank for rank in (config.r, *config.rank_pattern.values()) if rank % 2]
    if initialisation == "orthogonal" and odd:
        allowed = "an even number with init_lora_weights=orthogonal"
        raise UserError(fault("lora.r" if config.r % 2 else "lora.rank_pattern", odd[0], allowed))
    if initialisation == "olora" and any(isinstance(modules[name], Conv1D) for name in names):
        allowed = "another, as PEFT's OLoRA transposes Conv1D weights"
        raise UserError(fault("lora.init_lora_weights", initialisation, allowed))
    if initialisation.startswith("pissa_niter") and names:
        rank, narrowest = min((_rank(modules[name]), name) for name in names)
        if max(config.r, *config.rank_pattern.values(), 0) > rank:
            kind = narrowest.rpartition(".")[-1]
            allowed = (
                f"{rank} at most with init_lora_weights={initialisation}, "
                f"which is the rank of {kind}"
            )
            raise UserError(fault("lora.r", config.r, allowed))


def _rank(linear: nn.Module) -> int:
    """Return the maximum rank of the weight; the stored shape of quantised weights differs."""
    if isinstance(linear, nn.Linear):
        return min(linear.in_features, linear.out_features)
    return min(linear.get_parameter("weight").shape)


def can_be_adapted(module: nn.Module) -> bool:
    """Return whether PEFT has a LoRA layer for this kind of module."""
    config = peft.LoraConfig(r=1, fan_in_fan_out=isinstance(module, Conv1D))
    try:
        with torch.device("meta"):
            LoraModel._create_new_module(config, "probe", module, r=1, lora_alpha=1)
    except ValueError:
        return False
    return True


def warn_about_frozen(model: peft.PeftModel, config: AnyAdapter) -> None:
    """Warn about linear layers and experts that all-linear does not adapt."""
    if config.target_modules != ALL_LINEAR:
        return
    frozen = dict(_unreached(model))
    if not frozen:
        return
    kinds = ", ".join(sorted({LAYER.sub("", name) for name in frozen}))
    limit = expert_limit(config) if isinstance(config, LoraConfig) else None
    remedy = f"; to adapt experts: {limit[0]}={limit[2]}" if limit else ""
    log.warning(
        "%s=%s leaves %s parameters frozen (%s)%s",
        *(
            f"{name_of(config)}.target_modules",
            ALL_LINEAR,
            f"{sum(frozen.values()):,}",
            kinds,
            remedy,
        ),
    )


def _unreached(model: peft.PeftModel) -> Iterator[tuple[str, int]]:
    base = model.get_base_model()
    adapters = [
        (f"{name}.", module)
        for name, module in base.named_modules()
        if isinstance(module, BaseTunerLayer | ModulesToSaveWrapper)
    ]
    inside = tuple(name for name, _ in adapters)
    for name in _linear(base):
        if not f"{name}.".startswith(inside):  # some adapters are linear layers themselves
            yield name, base.get_submodule(name).weight.numel()
    reached = {
        (id(module.get_base_layer()), parameter)
        for _, module in adapters
        if (parameter := getattr(module, "parameter_name", None))
    }
    for name, count in expert_parameters(base).items():
        owner, _, parameter = name.rpartition(".")
        if (id(base.get_submodule(owner)), parameter) not in reached:
            yield name.replace(".base_layer", ""), count


def _linear(model: nn.Module) -> Iterator[str]:
    """Yield the names that PEFT's all-linear selects: linear layers except the output's."""
    output = model.get_output_embeddings()  # type: ignore[operator]
    heads = SEQ_CLS_HEAD_NAMES if is_classifier(model) else []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and module is not output and name not in heads:
            yield name


def is_classifier(model: nn.Module) -> bool:
    """Return whether a model classifies sequences, by the name of its class in transformers."""
    return type(model).__name__.endswith("ForSequenceClassification")


def keep_tied(model: PreTrainedModel, modules_to_save: list[str]) -> bool:
    """Return whether a fully trained embedding stays tied to the output weights."""
    output, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if output is None or output.weight is not embedding.weight:
        return False
    # PEFT ties only modules with these names and warns about others.
    return any(name.rpartition(".")[-1] in EMBEDDING_LAYER_NAMES for name in modules_to_save)


def _adaptable_modules(model: nn.Module) -> str:
    """Describe the adaptable modules: last name components, grouped by class."""
    by_class: dict[type[nn.Module], set[str]] = {}
    for name, module in model.named_modules():
        by_class.setdefault(type(module), set()).add(name.rpartition(".")[-1])
    kinds = [
        f"{', '.join(sorted(names))} ({kind.__name__})"
        for kind, names in by_class.items()
        if can_be_adapted(
            next(candidate for candidate in model.modules() if type(candidate) is kind)
        )
    ]
    experts = sorted({".".join(n.split(".")[-2:]) for n in expert_parameters(model)})
    return ", ".join(kinds + ([f"{', '.join(experts)} (experts)"] if experts else []))


def matches(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that equal ``name`` or end with it as a dotted component, as in PEFT."""
    return [known for known in names if known == name or known.endswith(f".{name}")]


def _join(modules: list[str] | str) -> str:
    return modules if isinstance(modules, str) else ", ".join(modules)
