"""Validate the keys of the chosen adapter."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

from ugro.config import ADAPTERS, Config, LoraConfig
from ugro.config.adapters import AdaLoraConfig, AdapterConfig, GraloraConfig, HraConfig
from ugro.config.validation.bounds import above_zero, at_least, share
from ugro.errors import fault

INITIALISATIONS = ("gaussian", "orthogonal", "olora", "pissa", "eva")
# Keys whose smallest value is not 1 or above 0; null: any
LEAST = {"decompose_factor": -1, "orth_reg_weight": 0}
SHARES = ("_ratio", "dropout", "beta1", "beta2")  # ends of keys from 0 to below 1


def adapter_faults(config: Config) -> Iterator[str]:
    """Yield what is wrong with the chosen adapter's keys, a line each."""
    name, known = config.adapter.name, config.model.linear_modules
    chosen = getattr(config, name)
    if chosen is None:  # set by a key, which selects no defaults
        yield fault(name, None, f"its keys, which the option adapter={name} of the group has")
    elif isinstance(chosen, LoraConfig):
        yield from _lora(chosen, known)
    else:
        yield from _numbers(name, chosen)
        if chosen.target_modules is not None:
            yield from _target_modules(f"{name}.target_modules", chosen.target_modules, known)
        yield from _of_one(chosen)


def _lora(lora: LoraConfig, linear_modules: list[str] | None) -> Iterator[str]:
    yield from at_least("lora.r", lora.r, 1)
    if lora.r >= 1:  # else alpha, a multiple of r, is wrong for r's reason
        yield from above_zero("lora.alpha", lora.alpha)
    yield from share("lora.dropout", lora.dropout)
    yield from _target_modules("lora.target_modules", lora.target_modules, linear_modules)
    yield from _initialisation(lora.init_lora_weights)
    yield from at_least("lora.eva_rho", lora.eva_rho, 1)
    yield from at_least("lora.loraplus_lr_ratio", lora.loraplus_lr_ratio, 1)
    for name, rank in lora.rank_pattern.items():
        yield from at_least(f"lora.rank_pattern.{name}", rank, 1)
    for name, alpha in lora.alpha_pattern.items():
        yield from above_zero(f"lora.alpha_pattern.{name}", alpha)
    yield from _expressions("lora.rank_pattern", lora.rank_pattern)
    yield from _expressions("lora.alpha_pattern", lora.alpha_pattern)
    if lora.layers_to_transform is not None:
        if not lora.layers_to_transform:
            yield fault("lora.layers_to_transform", [], "null, or a list of layers")
        for layer in lora.layers_to_transform:
            yield from at_least("lora.layers_to_transform", layer, 0)


def _expressions(key: str, patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"{fault(key, pattern, 'regular expressions')} ({error})"


def _target_modules(key: str, given: object, linear_modules: list[str] | None) -> Iterator[str]:
    known = ", ".join(linear_modules or ["module names"])
    if isinstance(given, str):
        if given != "all-linear":
            yield fault(key, given, f"all-linear, or a list of {known}")
    elif not isinstance(given, list) or not given:
        yield fault(key, given, f"all-linear, or a list of {known}")
    elif linear_modules is not None:
        # A dotted name picks single layers (layers.0.self_attn.q_proj); its last part is the kind.
        unknown = [str(n) for n in given if str(n).rpartition(".")[-1] not in linear_modules]
        if unknown:
            yield fault(key, ",".join(unknown), f"all-linear, or a list of {known}")


def _initialisation(given: object) -> Iterator[str]:
    name = str(given)
    numbered = name.startswith("pissa_niter_") and name.removeprefix("pissa_niter_").isdigit()
    if not isinstance(given, bool) and name not in INITIALISATIONS and not numbered:
        yield fault(
            "lora.init_lora_weights",
            given,
            f"true, false, {', '.join(INITIALISATIONS)}, pissa_niter_N",
        )


def _numbers(name: str, config: AdapterConfig) -> Iterator[str]:
    for one in fields(config):
        key, value = f"{name}.{one.name}", getattr(config, one.name)
        if not isinstance(value, int | float):
            continue
        if one.name.endswith(SHARES):
            yield from share(key, value)
        elif one.name in LEAST or isinstance(value, int):
            yield from at_least(key, value, LEAST.get(one.name, 1))
        else:
            yield from above_zero(key, value)


def _of_one(config: AdapterConfig) -> Iterator[str]:
    """Yield the faults that only one adapter has."""
    match config:
        case AdaLoraConfig(init_r=first, target_r=last) if last >= first:
            yield fault("adalora.target_r", last, f"below adalora.init_r={first}")
        case AdaLoraConfig(warmup_ratio=begin, final_ratio=end) if begin + end >= 1:
            allowed = f"below {1 - begin:g}, as adalora.warmup_ratio={begin:g}"
            yield fault("adalora.final_ratio", end, allowed)
        case HraConfig(r=r) if r % 2:
            yield fault("hra.r", r, "an even number")
        case GraloraConfig(r=r, k=k) if k >= 1 and r % k:
            yield fault("gralora.r", r, f"a multiple of gralora.k={k}")


def adapter_of_key(key: str) -> str | None:
    """Return the adapter that a key belongs to, as written in an override; None: to none."""
    section = key.lstrip("+~").partition(".")[0]
    return section if section in ADAPTERS else None


def without_effect(key: str, given: object, adapters: Sequence[str]) -> str:
    """Say that a key belongs to none of the adapters that trials have."""
    allowed = (
        f"adapter={adapter_of_key(key)}, as it has no effect with adapter={','.join(adapters)}"
    )
    return fault(key, given, allowed)
