"""Choices of the search space, for libraries that have ordered ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from optuna.distributions import BaseDistribution, CategoricalDistribution

from ..plans import space


def numeric_choices(over: BaseDistribution) -> Sequence[float] | None:
    """Return the values of a choice between numbers, ascending; None for all else."""
    if not isinstance(over, CategoricalDistribution):
        return None
    numbers = [float(choice) for choice in over.choices if isinstance(choice, int | float)]
    return sorted(numbers) if len(numbers) == len(over.choices) else None


def proposed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a library's proposal to values of the search space.

    NumPy's scalars become Python's. Numbers that a library computes, such as powers of two in
    floating point, are rounded to the nearest choice.
    """
    converted = {}
    for key, value in parameters.items():
        plain = value.item() if isinstance(value, numpy.generic) else value
        choices = numeric_choices(space()[key])
        converted[key] = plain if choices is None else _nearest(choices, plain)
    return converted


def _nearest(choices: Sequence[float], value: float) -> float:
    return min(choices, key=lambda choice: abs(choice - value))
