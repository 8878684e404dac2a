"""Schema of the adapters beside LoRA, in PEFT's terms without the adapter's name before them."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from omegaconf import MISSING

from ugro.config.lora import LoraConfig

Adapter = Enum(
    "Adapter",
    [
        "lora",
        "adalora",
        "boft",
        "c3a",
        "delora",
        "fourierft",
        "gralora",
        "hira",
        "hra",
        "ia3",
        "ln_tuning",
        "loha",
        "lokr",
        "miss",
        "oft",
        "randlora",
        "road",
        "shira",
        "vblora",
        "vera",
        "waveft",
    ],
)
Road = Enum("Road", ["road_1", "road_2", "road_4"])


@dataclass
class AdapterConfig:
    """What every adapter but LoRA has."""

    learning_rate: float = MISSING
    """Peak learning rate of this adapter, where training.learning_rate is not set."""

    target_modules: Any = MISSING
    """Modules with an adapter: all-linear, or a list of module names; null: PEFT's choice for the
    model's architecture."""

    modules_to_save: list[str] | None = None
    """Modules trained in full beside the adapter, [embed_tokens]; null: none."""


@dataclass
class AdaLoraConfig(AdapterConfig):
    """AdaLoRA: LoRA whose ranks are moved to the modules that need them,
    https://arxiv.org/abs/2303.10512."""

    init_r: int = MISSING
    """Rank of each module at the beginning."""

    target_r: int = MISSING
    """Average rank of a module at the end."""

    alpha: float = MISSING
    """Scaling numerator: the update is scaled by alpha / init_r."""

    dropout: float = MISSING
    """Dropout probability of the adapter's input."""

    warmup_ratio: float = MISSING
    """Steps before the ranks shrink, PEFT's tinit. [share of the optimizer steps]"""

    final_ratio: float = MISSING
    """Steps with the final ranks, PEFT's tfinal. [share of the optimizer steps]"""

    interval: int = MISSING
    """Distance between changes of the ranks, PEFT's deltaT. [optimizer steps]"""

    beta1: float = MISSING
    """Smoothing of the importance of a rank."""

    beta2: float = MISSING
    """Smoothing of the uncertainty of this importance."""

    orth_reg_weight: float = MISSING
    """Weight of the penalty that keeps the singular vectors orthogonal, in the training loss."""


@dataclass
class VeraConfig(AdapterConfig):
    """VeRA: two trained vectors per module around random matrices that all modules share,
    https://arxiv.org/abs/2310.11454."""

    r: int = MISSING
    """Rank of the random matrices."""

    dropout: float = MISSING
    """Dropout probability of the adapter's input."""

    d_initial: float = MISSING
    """Initial value of the vector that scales the rank."""


@dataclass
class OftConfig(AdapterConfig):
    """OFT: a block-diagonal rotation of each module's input, https://arxiv.org/abs/2306.07280."""

    block_size: int = MISSING
    """Width of a block, a divisor of the modules' input sizes: the larger, the more parameters."""

    module_dropout: float = MISSING
    """Probability that a block is left out in training."""


@dataclass
class BoftConfig(AdapterConfig):
    """BOFT: a rotation of each module's output, factorised like a butterfly,
    https://arxiv.org/abs/2311.06243."""

    block_size: int = MISSING
    """Width of a block, a divisor of the modules' input sizes: the larger, the more parameters."""

    n_butterfly_factor: int = MISSING
    """Number of butterfly factors; 1: a block-diagonal rotation, more need PEFT's
    CUDA extension."""

    dropout: float = MISSING
    """Probability that a block is left out in training."""


@dataclass
class Ia3Config(AdapterConfig):
    """(IA)3: a vector that scales keys, values and the MLP's inner activations,
    https://arxiv.org/abs/2205.05638."""

    feedforward_modules: list[str] | None = None
    """Modules of target_modules whose input is scaled instead of the output, [down_proj]; null:
    PEFT's choice for the model's architecture."""


@dataclass
class LohaConfig(AdapterConfig):
    """LoHa: the elementwise product of two low-rank updates, https://arxiv.org/abs/2108.06098."""

    r: int = MISSING
    """Rank of each factor; the product's rank is up to its square."""

    alpha: float = MISSING
    """Scaling numerator: the update is scaled by alpha / r."""

    rank_dropout: float = MISSING
    """Probability that a rank is left out in training."""

    module_dropout: float = MISSING
    """Probability that a module's adapter is left out in training."""


@dataclass
class LokrConfig(LohaConfig):
    """LoKr: a Kronecker product of two matrices, one of them of low rank,
    https://arxiv.org/abs/2309.14859."""

    r: int = MISSING
    """Rank of the larger factor, which is trained whole where it is no larger than this."""

    decompose_factor: int = MISSING
    """Size of the smaller factor; -1: about the root of the module's sizes."""


@dataclass
class FourierftConfig(AdapterConfig):
    """FourierFT: coefficients of the update's Fourier transform, https://arxiv.org/abs/2405.03003."""

    n_frequency: int = MISSING
    """Trained coefficients per module."""

    scaling: float = MISSING
    """Factor of the update."""


@dataclass
class WaveftConfig(FourierftConfig):
    """WaveFT: coefficients of the update's wavelet transform, https://arxiv.org/abs/2505.12532."""


@dataclass
class HraConfig(AdapterConfig):
    """HRA: a chain of Householder reflections of each module's input,
    https://arxiv.org/abs/2405.17484."""

    r: int = MISSING
    """Number of reflections, which is even."""


@dataclass
class RandloraConfig(AdapterConfig):
    """RandLoRA: a full-rank update of scaled random low-rank matrices,
    https://arxiv.org/abs/2502.00987."""

    r: int = MISSING
    """Rank of each random matrix: the smaller, the more parameters."""

    alpha: float = MISSING
    """Scaling numerator: the update is scaled by alpha / r."""

    dropout: float = MISSING
    """Dropout probability of the adapter's input."""


@dataclass
class ShiraConfig(AdapterConfig):
    """SHiRA: a sparse update of randomly chosen weights, https://arxiv.org/abs/2406.13175."""

    r: int = MISSING
    """Sets the number of chosen weights of a module, r * (in + out), as of LoRA."""


@dataclass
class MissConfig(AdapterConfig):
    """MiSS, formerly Bone: a single matrix per module, added to sums of its input,
    https://arxiv.org/abs/2409.15371."""

    r: int = MISSING
    """Rank of the matrix, [r, out]."""

    dropout: float = MISSING
    """Dropout probability of the adapter's input."""


@dataclass
class VbloraConfig(AdapterConfig):
    """VB-LoRA: LoRA whose matrices are composed of vectors from one shared bank,
    https://arxiv.org/abs/2405.15179."""

    r: int = MISSING
    """Rank of the update matrices."""

    num_vectors: int = MISSING
    """Number of vectors in the bank."""

    vector_length: int = MISSING
    """Length of a vector, a divisor of the modules' sizes."""

    topk: int = MISSING
    """Vectors that are mixed for each part of a matrix."""

    dropout: float = MISSING
    """Dropout probability of the adapter's input."""


@dataclass
class LnTuningConfig(AdapterConfig):
    """LN tuning: the normalisation layers themselves, https://arxiv.org/abs/2312.11420."""


@dataclass
class DeloraConfig(AdapterConfig):
    """DeLoRA: LoRA of normalised rank-1 parts under a trained bound of the update's size,
    https://arxiv.org/abs/2503.18225."""

    r: int = MISSING
    """Rank of the update matrices."""

    delora_lambda: float = MISSING
    """Initial bound of the update's size."""

    module_dropout: float = MISSING
    """Dropout probability of the adapter's input."""


@dataclass
class GraloraConfig(AdapterConfig):
    """GraLoRA: a low-rank update for each block of a module's weights,
    https://arxiv.org/abs/2505.20355."""

    r: int = MISSING
    """Rank of all blocks in a row together, a multiple of k."""

    k: int = MISSING
    """Blocks per row and column, a divisor of the modules' sizes."""

    alpha: float = MISSING
    """Scaling numerator: the update is scaled by alpha / r."""

    dropout: float = MISSING
    """Dropout probability of the adapter's input."""


@dataclass
class C3aConfig(AdapterConfig):
    """C3A: block-circular convolutions, https://arxiv.org/abs/2407.19342."""

    block_size: int = MISSING
    """Width of a block, a divisor of the modules' sizes: the smaller, the more parameters."""


@dataclass
class RoadConfig(AdapterConfig):
    """RoAd: 2D rotations of pairs of each module's outputs, https://arxiv.org/abs/2409.00119."""

    variant: Road = MISSING
    """Parameters per pair of outputs: road_1 has 2, road_2 twice and road_4 four times as many."""

    group_size: int = MISSING
    """Outputs among which pairs are formed, a divisor of the modules' output sizes."""


@dataclass
class HiraConfig(AdapterConfig):
    """HiRA: the elementwise product of the base weights and a low-rank matrix,
    https://openreview.net/forum?id=TwJrTz9cRS."""

    r: int = MISSING
    """Rank of the matrix."""

    dropout: float = MISSING
    """Dropout probability of the adapter's input."""


AnyAdapter = LoraConfig | AdapterConfig
ADAPTERS: dict[str, type[AnyAdapter]] = {
    "lora": LoraConfig,
    "adalora": AdaLoraConfig,
    "boft": BoftConfig,
    "c3a": C3aConfig,
    "delora": DeloraConfig,
    "fourierft": FourierftConfig,
    "gralora": GraloraConfig,
    "hira": HiraConfig,
    "hra": HraConfig,
    "ia3": Ia3Config,
    "ln_tuning": LnTuningConfig,
    "loha": LohaConfig,
    "lokr": LokrConfig,
    "miss": MissConfig,
    "oft": OftConfig,
    "randlora": RandloraConfig,
    "road": RoadConfig,
    "shira": ShiraConfig,
    "vblora": VbloraConfig,
    "vera": VeraConfig,
    "waveft": WaveftConfig,
}  # by the name of their option and keys


def name_of(config: AnyAdapter) -> str:
    """Return the name of an adapter's option and keys."""
    return next(name for name, kind in ADAPTERS.items() if type(config) is kind)
