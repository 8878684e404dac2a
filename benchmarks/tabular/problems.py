"""Which problems are there, and by which configurations is it known what one holds?"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from .curves import Problem
from .families import FAMILIES, Family
from .plans import space
from .record import quasi_random
from .table import RECORDED, SHORT, Table

TABLES = {"recorded": RECORDED, "recorded_short": SHORT}
MANY = 255  # configurations that tell what a problem holds
APART = 1000  # from a seed to that of another landscape


def problem(name: str) -> Problem:
    """A table's, or a family's with its seed: ``crossing:3``.

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
def many() -> tuple[Mapping[str, Any], ...]:
    """So many configurations, as a study has them."""
    return tuple(quasi_random(space(), MANY))


def earlier(than: Problem) -> Problem:
    """What may have been searched before: the same with shorter runs, or another landscape."""
    return (
        Family(than.name, than.seed + APART)
        if isinstance(than, Family)
        else problem("recorded_short")
    )
