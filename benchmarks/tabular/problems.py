"""Which problems are there?"""

from .curves import Problem
from .families import FAMILIES, Family
from .table import Table


def problem(name: str) -> Problem:
    """``recorded``, or a family with its seed: ``crossing:3``.

    Raises:
        ValueError: there is no such problem.
    """
    family, _, seed = name.partition(":")
    if family in FAMILIES:
        return Family(family, int(seed or 0))
    if name == "recorded":
        return Table()
    raise ValueError(f"problem: {name!r} given, allowed: recorded, {', '.join(FAMILIES)}")
