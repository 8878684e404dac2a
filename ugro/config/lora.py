"""Schema of the default adapter, LoRA."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

Bias = Enum("Bias", ["none", "all", "lora_only"])


@dataclass
class LoraConfig:
    """The adapter, in PEFT's terms."""

    r: int = MISSING
    """Rank of the update matrices."""

    alpha: float = MISSING
    """Scaling numerator: the update is scaled by alpha / r. By default r times alpha_ratio."""

    alpha_ratio: float = MISSING
    """alpha / r, where alpha is not set. Searching the ratio instead of alpha keeps the best
    learning rate in place when r changes."""

    dropout: float = MISSING
    """Dropout probability of the adapter's input."""

    target_modules: Any = MISSING
    """Modules with an adapter: all-linear, or a list of module names, [q_proj,v_proj]."""

    bias: Bias = MISSING
    """Bias parameters that are trained."""

    modules_to_save: list[str] | None = None
    """Modules trained in full beside the adapter, [embed_tokens]; null: none."""

    use_rslora: bool = MISSING
    """Scale by alpha / sqrt(r) instead of alpha / r, https://arxiv.org/abs/2312.03732."""

    use_dora: bool = MISSING
    """Decompose weights into magnitude and direction, https://arxiv.org/abs/2402.09353."""

    init_lora_weights: Any = MISSING
    """Initialisation: true (B = 0), false, gaussian, orthogonal, olora, pissa, pissa_niter_N, or
    eva: by the main directions of each module's training inputs, https://arxiv.org/abs/2410.07170."""

    eva_rho: float = 1.0
    """Largest rank of a module with eva, as a multiple of r; above 1, rank moves to the modules
    whose inputs have more directions."""

    rank_pattern: dict[str, int] = field(default_factory=dict)
    """Other ranks than r, by the end of a module's name or a regular expression for it:
    {q_proj: 8}."""

    alpha_pattern: dict[str, float] = field(default_factory=dict)
    """Other values than alpha, by the end of a module's name or a regular expression for it."""

    layers_to_transform: list[int] | None = None
    """Numbers of the layers with an adapter, from 0; null: all."""

    target_parameters: list[str] = field(default_factory=list)
    """Parameters with an adapter that are no modules, beside those that target_modules names:
    [experts.down_proj]."""

    loraplus_lr_ratio: float | None = None
    """Learning rate of B as a multiple of that of A, training.learning_rate; null: the same.
    https://arxiv.org/abs/2402.12354."""
