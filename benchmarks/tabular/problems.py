"""The problems by name, and the configurations that determine their scale."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from .curves import Problem
from .families import FAMILIES, Family
from .plans import space
from .record import quasi_random
from .table import RECORDED, SHORT, Table

TABLES = {"recorded": RECORDED, "recorded_short": SHORT}
REFERENCE_COUNT = 255  # quasi-random configurations that determine the scale of a problem
LANDSCAPE_OFFSET = 1000  # offset of the seed of another landscape


def problem(name: str) -> Problem:
    """Return a recorded table, or a family with a seed: ``crossing:3``.

    Raises:
        ValueError: there is no such problem.
    """
    family, _, seed = name.partition(":")
    if family in FAMILIES:
        return Family(family, int(seed or 0))
    if name in TABLES:
        return Table(name, TABLES[name])
    allowed = ", ".join([*TABLES, *FAMILIES])
    raise ValueError(f"problem: {name!r} given, allowed: {allowed}")


@cache
def reference_configurations() -> tuple[Mapping[str, Any], ...]:
    """Return the quasi-random configurations."""
    return tuple(quasi_random(space(), REFERENCE_COUNT))


def earlier_problem(than: Problem) -> Problem:
    """Return the problem of an earlier study: shorter runs, or another landscape."""
    return (
        Family(than.name, than.seed + LANDSCAPE_OFFSET)
        if isinstance(than, Family)
        else problem("recorded_short")
    )
