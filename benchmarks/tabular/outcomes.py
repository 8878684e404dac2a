"""Results of methods on problems, with regret normalised by many configurations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

from .curves import Problem, plain
from .problems import TABLES, problem, reference_configurations


@dataclass(frozen=True)
class MethodOutcome:
    """Result of a method on a problem with a seed."""

    method: str
    problem: str
    seed: int
    best: Sequence[tuple[float, int, float]]  # hours, tokens, normalised regret at each improvement
    hours: float  # total
    tokens: int  # total
    trials: int
    trial_tokens: int  # tokens of a trial that is not stopped
    idle: float

    @property
    def reached(self) -> float:
        """Normalised regret at the end."""
        return self.best[-1][2] if self.best else math.inf

    def until(self, target: float) -> tuple[float, float]:
        """Return hours and full trials' worth of tokens until ``target``; infinity if never."""
        for hours, tokens, regret in self.best:
            if regret <= target + 1e-9:
                return hours, tokens / self.trial_tokens
        return math.inf, math.inf


def problem_of(family: str, seed: int) -> Problem:
    """Return a family's landscape for a seed; a table has a single landscape."""
    return problem(family if family in TABLES else f"{family}:{seed}")


def scale(found: Problem) -> tuple[float, float]:
    """Return best and median loss of many configurations, which define regret 0 and 1.

    A sweep may find a better loss, with negative regret.
    """
    losses = [
        found.curve(configuration, 0).true_loss
        for configuration in map(plain, reference_configurations())
    ]
    return min(losses), median(losses)


@cache
def near_optimal_regret(family: str, seed: int) -> float:
    """Return the normalised regret of a loss 1% above the best."""
    low, middle = scale(problem_of(family, seed))
    return 0.01 * low / (middle - low)
