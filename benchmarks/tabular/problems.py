"""Which problems are there?"""

from .curves import Problem
from .families import FAMILIES, Family
from .table import RECORDED, SHORT, Table

TABLES = {"recorded": RECORDED, "recorded_short": SHORT}
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


def earlier(than: Problem) -> Problem:
    """What may have been searched before: the same with shorter runs, or another landscape."""
    return (
        Family(than.name, than.seed + APART)
        if isinstance(than, Family)
        else problem("recorded_short")
    )
