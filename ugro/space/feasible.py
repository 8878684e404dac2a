"""Which configurations of the space may be run? Branches and constraints say it."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution

from ugro.objectives.constraints import Constraints, broken
from ugro.space.composition import Composer, lookup
from ugro.space.search_space import SearchSpace

MOST_COUNTED = 1024  # combinations that are composed to count those which are left, 3 ms each


class FeasibleSpace:
    """A search space with its branches and its constraints.

    Args:
        space: the searched keys
        composer: makes configurations of it
        constraints: those on results are not looked at here
    """

    def __init__(self, space: SearchSpace, composer: Composer, constraints: Constraints) -> None:
        self.space = space
        self.composer = composer
        self.constraints = constraints
        conditional = space.conditions
        over = space.distributions
        self.unconditional = {key: d for key, d in over.items() if key not in conditional}
        self.conditional: dict[str, BaseDistribution] = {
            key: distribution for key, distribution in over.items() if key in conditional
        }

    @property
    def constrained(self) -> bool:
        """Whether any constraint is on the configuration."""
        return bool(self.constraints.on_config)

    def is_active(self, key: str, parameters: Mapping[str, Any]) -> bool:
        """Whether the key is searched, given the unconditional parameters."""
        condition = self.space.conditions.get(key)
        if condition is None:
            return True
        config = self.composer.compose({k: parameters[k] for k in self.unconditional})
        return condition.holds(lambda name: lookup(config, name))

    def broken(self, parameters: Mapping[str, Any]) -> list[str]:
        """The constraints on the configuration that these parameters break."""
        if not self.constrained:
            return []
        config = self.composer.compose(parameters)
        return broken(self.constraints.on_config, lambda name: lookup(config, name))

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Every configuration of a finite space that may be run, once, the last key fastest."""
        seen = set()
        for combination in self.space.combinations():
            active = {k: v for k, v in combination.items() if self.is_active(k, combination)}
            if (name := identity(active)) not in seen and not self.broken(active):
                yield active
            seen.add(name)

    @cached_property
    def size(self) -> int | None:
        """How many there are, at most where there are too many to count; None: no end to them."""
        size = self.space.size
        if size is None or size > MOST_COUNTED or not (self.constrained or self.conditional):
            return size
        return sum(1 for _ in self.combinations())


def identity(parameters: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What makes two configurations the same; samplers give 0.30000000000000004 for 0.3."""
    return tuple(sorted((key, _rounded(value)) for key, value in parameters.items()))


def _rounded(value: object) -> object:
    return float(f"{value:.12g}") if isinstance(value, float) else value
