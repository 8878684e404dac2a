"""Schema of the base model's quantisation, and its impossible values."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec

from ugro.config.adapters import Adapter
from ugro.config.lora import LoraConfig
from ugro.config.training import Dtype
from ugro.errors import fault

# Methods whose models transformers 5.23 trains: it refuses torchao's int4 and does not load HQQ.
QuantizationMethod = Enum("QuantizationMethod", ["none", "bnb_nf4", "bnb_int8", "torchao_int8"])
# The package of each method, and the extra of this project that installs it.
PACKAGES = {
    QuantizationMethod.bnb_nf4: ("bitsandbytes", "bnb"),
    QuantizationMethod.bnb_int8: ("bitsandbytes", "bnb"),
    QuantizationMethod.torchao_int8: ("torchao", "torchao"),
}
# Adapters that PEFT 0.21 has for layers of a library; for others, only LoRA. It has IA3, too, but
# does not remove it from a 4-bit model, which the next trial uses.
ADAPTERS_OF = {"bitsandbytes": ("lora", "adalora", "hira", "randlora", "road")}
# Initialisations of the adapter that read no base weights.
INDEPENDENT = ("true", "false", "gaussian")


@dataclass
class QuantizationConfig:
    """How the linear layers of the base model are quantised when it is loaded."""

    method: QuantizationMethod = QuantizationMethod.none
    """none, bnb_nf4 (4 bits, https://arxiv.org/abs/2305.14314), bnb_int8 (8 bits,
    https://arxiv.org/abs/2208.07339) or torchao_int8 (8 bits, a scale per output)."""

    double_quantization: bool = True
    """Quantise the scales of bnb_nf4, too: 0.4 bits less per weight."""

    compute_dtype: Dtype = Dtype.auto
    """Precision of matrix products with weights in bnb_nf4; auto: that of training.dtype."""

    @property
    def is_none(self) -> bool:
        """Return whether the weights are loaded as they are."""
        return self.method is QuantizationMethod.none


def missing_library(method: QuantizationMethod) -> Iterator[str]:
    """Yield a line if the method's library is not installed."""
    package, extra = PACKAGES.get(method, (None, None))
    if package is not None and find_spec(package) is None:
        yield f"quantization.method: {method.name} needs {package}: pip install 'ugro[{extra}]'"


def adapters_of(library: str) -> tuple[str, ...]:
    """Return the adapters that train on layers quantised by a library."""
    return ADAPTERS_OF.get(library, ("lora",))


def adapter_faults_on(
    library: str | None, which: str, adapter: str, lora: LoraConfig | None
) -> Iterator[str]:
    """Yield why an adapter does not train on a quantised base model, a line each.

    Args:
        library: what quantised it, if that is known
        which: the base model, in words that follow what is allowed
        adapter: the chosen adapter
        lora: the keys of LoRA, if it is chosen
    """
    if library is not None and adapter not in (known := adapters_of(library)):
        yield fault("adapter", adapter, f"{', '.join(known)} {which}")
    if lora is not None and str(lora.init_lora_weights).lower() not in INDEPENDENT:
        allowed = f"{', '.join(INDEPENDENT)} {which}"
        yield fault("lora.init_lora_weights", lora.init_lora_weights, allowed)


def quantization_faults(
    quantization: QuantizationConfig, adapter: Adapter, lora: LoraConfig
) -> Iterator[str]:
    """Yield impossible values, a line each.

    Args:
        quantization: quantisation of the base model
        adapter: the chosen adapter
        lora: the keys of LoRA, if it is chosen
    """
    method = quantization.method
    if quantization.is_none:
        return
    yield from missing_library(method)
    if method is not QuantizationMethod.bnb_nf4:
        if not quantization.double_quantization:
            yield fault("quantization.double_quantization", False, f"true with {method.name}")
        if quantization.compute_dtype is not Dtype.auto:
            given = quantization.compute_dtype.name
            yield fault("quantization.compute_dtype", given, f"auto with {method.name}")
    chosen = lora if adapter is Adapter.lora else None
    which = f"with quantization.method={method.name}"
    yield from adapter_faults_on(PACKAGES[method][0], which, adapter.name, chosen)
    if chosen and chosen.use_dora and method is QuantizationMethod.bnb_int8:
        # PEFT 0.21 drops the scales of weights on a CPU while it computes DoRA's magnitudes.
        yield fault("lora.use_dora", True, "false with quantization.method=bnb_int8")
