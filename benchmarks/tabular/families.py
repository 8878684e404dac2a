"""Families of synthetic learning curves, which complement the recorded ones.

All use search_space=lora. A seed determines the optimum and the importance of each key. The
ordinary families have the figures of recorded tables (curve_statistics.py), with optima anywhere:

- agreeing: early ranks nearly equal final ranks
- shifting: higher learning rates are faster, and the best change places until late
- noisy: like agreeing, with the noise of the noisiest table

The extreme ones have figures beyond those of any table:

- noisy_extreme: noise per evaluation as large as differences of good configurations
- crossing_extreme: high learning rates fall fast and stagnate; many of the best are behind for long
- slow_extreme: many good configurations of high rank stagnate for up to half of their tokens
- diverging_extreme: high learning rates fall fastest, then explode or return NaN
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy

from .curves import HOURS, POINTS, Curve, noise_of

BASE_LOSS = 3.6  # loss of the untrained model, nats
TOKENS = 1_000_000
MODULES = {"[q_proj,v_proj]": 0.0, "[q_proj,k_proj,v_proj,o_proj]": 0.5, "all-linear": 1.0}


@dataclass(frozen=True)
class Character:
    """What distinguishes a family.

    Attributes:
        draw: seeds the landscapes together with the family's seed
        speed: of learning at the best learning rate; more than half of the gain is reached at a
            quarter of the tokens with 4, three quarters with 6
        haste: increase of the logarithm of the speed per decade of the learning rate
        noise: standard deviation of an evaluation, nats
        delay: share of the tokens before the highest rank learns
        explodes: whether high learning rates diverge
    """

    draw: int
    speed: float
    haste: float
    noise: float
    delay: float = 0.0
    explodes: bool = False


FAMILIES = {
    "agreeing": Character(0, speed=6.0, haste=0.05, noise=0.002),
    "shifting": Character(1, speed=6.0, haste=0.1, noise=0.002),
    "noisy": Character(2, speed=6.0, haste=0.05, noise=0.005),
    "noisy_extreme": Character(3, speed=4.0, haste=0.0, noise=0.04),
    "crossing_extreme": Character(4, speed=4.0, haste=1.2, noise=0.004),
    "slow_extreme": Character(5, speed=4.0, haste=0.0, noise=0.004, delay=0.5),
    "diverging_extreme": Character(6, speed=4.0, haste=0.5, noise=0.004, explodes=True),
}


@dataclass(frozen=True)
class Family:
    """A problem of a family, with a landscape given by its seed."""

    name: str
    seed: int

    @property
    def _character(self) -> Character:
        return FAMILIES[self.name]

    @cached_property
    def _weights(self) -> dict[str, float]:
        draw = numpy.random.default_rng((self.seed, self._character.draw))
        ranges = {
            "rate": (-3.9, -2.9),  # log10 of the best learning rate at alpha / r = 1
            "curvature": (0.12, 0.3),
            "rank": (0.02, 0.12),
            "modules": (0.05, 0.2),
            "dropout": (0.0, 0.2),
            "warmup": (0.0, 0.1),
            "decay": (0.0, 0.03),
            "batch": (0.01, 0.05),
        }
        return {name: float(draw.uniform(*between)) for name, between in ranges.items()}

    def curve(self, parameters: Mapping[str, Any], seed: int) -> Curve:
        """Return the curve of a configuration with noise of this seed."""
        shares = numpy.arange(1, POINTS + 1) / POINTS
        gain, rate = self._gain(parameters)
        true = BASE_LOSS - gain * self._shape(parameters, rate, shares)
        draw = noise_of(parameters, seed)
        noisy = true + draw.normal(0, self._character.noise, POINTS)
        if self._character.explodes and rate > 0.5:
            begins = POINTS * min(0.9, 0.35 / (rate - 0.4) * 0.5)
            blown = numpy.arange(1, POINTS + 1) > begins
            noisy[blown] = true[blown] = math.nan if rate > 0.7 else 5 * BASE_LOSS
        return Curve(
            [BASE_LOSS, *noisy.tolist()],
            [0.0, *(shares * self._hours(parameters)).tolist()],
            HOURS / 100,
            TOKENS,
            float(numpy.nanmin([BASE_LOSS * 2, *true])),
        )

    def _gain(self, configuration: Mapping[str, Any]) -> tuple[float, float]:
        """Return the total gain of training and the excess of the learning rate in decades."""
        own = self._weights
        lr = math.log10(configuration["training.learning_rate"])
        rate = lr + 0.3 * math.log2(configuration["lora.alpha_ratio"]) - own["rate"]
        gain = 1.0 - own["curvature"] * rate**2
        gain += own["rank"] * math.log2(configuration["lora.r"] / 8) / 4
        gain += own["modules"] * MODULES[configuration["lora.target_modules"]]
        gain -= abs(configuration["lora.dropout"] - own["dropout"]) * 0.2
        gain -= abs(configuration["training.warmup_ratio"] - own["warmup"]) * 0.4
        gain -= own["decay"] * (configuration["training.weight_decay"] == 0.1)
        gain -= own["batch"] * math.log2(configuration["training.batch_size"] / 4)
        return gain, rate

    def _shape(self, configuration: Mapping[str, Any], rate: float, shares: Any) -> Any:
        """Return the share of the gain reached after each share of the tokens; 1 at the end."""
        speed = self._character.speed * math.exp(self._character.haste * min(max(rate, -1.5), 1.0))
        delay = self._character.delay * math.log2(configuration["lora.r"] / 8) / 4
        passed = numpy.maximum(0.0, (shares - delay) / (1 - delay))
        return _learnt(speed, passed) / _learnt(speed, 1.0)

    def _hours(self, configuration: Mapping[str, Any]) -> float:
        """Return the duration, which rises with rank and modules and falls with batch size."""
        share = 0.75 + 0.25 * MODULES[configuration["lora.target_modules"]]
        share += 0.05 * math.log2(configuration["lora.r"] / 8)
        return HOURS * share * (1.1 - 0.05 * math.log2(configuration["training.batch_size"] / 4))


def _learnt(speed: float, share: Any) -> Any:
    """Return the progress after a share of the tokens, as recorded curves have it.

    A cosine schedule takes most steps early, and adapters that start at zero gain with its square.
    """
    step = speed * (share + numpy.sin(math.pi * share) / math.pi)  # sum of learning rates
    return 1 - (1 + step) * numpy.exp(-step)
