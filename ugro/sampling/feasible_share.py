"""Estimate of the feasible share of a search space, by random sampling."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ugro.errors import UserError
from ugro.sampling.optuna_sampler import random_sampler
from ugro.space.feasible import FeasibleSpace

SAMPLES = 1000


@dataclass
class FeasibilityEstimate:
    """Result of sampling a space at random.

    Attributes:
        kept: samples that satisfy all constraints
        removed: number of samples that break each constraint; a sample may break several
        samples: number of samples drawn
    """

    kept: list[dict[str, Any]] = field(default_factory=list)
    removed: Counter[str] = field(default_factory=Counter)
    samples: int = 0

    def shares(self) -> list[str]:
        """Describe the share of samples that each constraint removes, one line per constraint."""
        return [
            f"{text} removes {count / self.samples:.1%} of {self.samples:,} samples"
            for text, count in self.removed.most_common()
        ]


def estimate_feasibility(
    feasible: FeasibleSpace, seed: int, enough: int = SAMPLES
) -> FeasibilityEstimate:
    """Sample the space at random and count the samples that satisfy all constraints.

    Args:
        feasible: the space with its constraints
        seed: seed of the samples
        enough: number of feasible samples after which sampling stops
    """
    estimate = FeasibilityEstimate()
    sampler = random_sampler(feasible, seed)
    while estimate.samples < SAMPLES and len(estimate.kept) < enough:
        parameters = dict(sampler.ask().parameters)
        estimate.samples += 1
        broken = feasible.broken(parameters)
        estimate.removed.update(broken)
        if not broken:
            estimate.kept.append(parameters)
    return estimate


def check_satisfiable(feasible: FeasibleSpace, seed: int) -> None:
    """Refuse a space without feasible configurations.

    Raises:
        UserError: no sample satisfies the constraints; the message lists the share that each
            constraint removes.
    """
    if feasible.size or not feasible.constrained:
        return
    estimate = estimate_feasibility(feasible, seed, enough=1)
    if not estimate.kept:
        lines = "\n".join(estimate.shares())
        raise UserError(f"constraints.expressions exclude the entire search space\n{lines}")
