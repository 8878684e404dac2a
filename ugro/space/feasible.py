"""Feasible configurations of a search space: conditions and constraints applied."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution

from ugro.objectives.constraints import Constraints, broken
from ugro.space.composition import Composer, lookup
from ugro.space.search_space import SearchSpace

MAX_COUNTED = 1024  # combinations composed to count the feasible ones, 3 ms each


class FeasibleSpace:
    """Search space with conditions and constraints.

    Args:
        space: the search space
        composer: composer of its configurations
        constraints: constraints of the study; only those on keys apply here
    """

    def __init__(self, space: SearchSpace, composer: Composer, constraints: Constraints) -> None:
        self.space = space
        self.composer = composer
        self.constraints = constraints
        conditions, distributions = space.conditions, space.distributions
        self.unconditional: dict[str, BaseDistribution] = {
            key: distribution
            for key, distribution in distributions.items()
            if key not in conditions
        }
        self.conditional: dict[str, BaseDistribution] = {
            key: distribution for key, distribution in distributions.items() if key in conditions
        }

    @property
    def constrained(self) -> bool:
        """Whether any constraint applies to the configuration."""
        return bool(self.constraints.on_config)

    def is_active(self, key: str, parameters: Mapping[str, Any]) -> bool:
        """Whether the condition of the key holds for the unconditional parameters."""
        condition = self.space.conditions.get(key)
        if condition is None:
            return True
        config = self.composer.compose({k: parameters[k] for k in self.unconditional})
        return condition.holds(lambda name: lookup(config, name))

    def active(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters whose conditions hold."""
        return {key: v for key, v in parameters.items() if self.is_active(key, parameters)}

    def broken(self, parameters: Mapping[str, Any]) -> list[str]:
        """Return the constraints on the configuration that the parameters break."""
        if not self.constrained:
            return []
        config = self.composer.compose(parameters)
        return broken(self.constraints.on_config, lambda name: lookup(config, name))

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Yield each feasible configuration of a finite space, the last key varying fastest."""
        seen = set()
        for combination in self.space.combinations():
            active = self.active(combination)
            if (name := identity(active)) not in seen and not self.broken(active):
                yield active
            seen.add(name)

    @cached_property
    def size(self) -> int | None:
        """Number of feasible configurations, an upper bound in large spaces; None if infinite."""
        size = self.space.size
        if size is None or size > MAX_COUNTED or not (self.constrained or self.conditional):
            return size
        return sum(1 for _ in self.combinations())

    def is_covered_by(self, trials: int) -> bool:
        """Whether so many different configurations are all that there are."""
        return self.size is not None and trials >= self.size


def identity(parameters: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return a hashable key of a configuration, floats rounded to 12 digits.

    Samplers may return 0.30000000000000004 for 0.3.
    """
    return tuple(sorted((key, _rounded(value)) for key, value in parameters.items()))


def _rounded(value: object) -> object:
    return float(f"{value:.12g}") if isinstance(value, float) else value
