"""The problems by name, and the configurations that determine their scale."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .curves import Problem
from .families import FAMILIES, Family
from .plans import space
from .record import quasi_random
from .table import Table

_FOLDER = Path(__file__).parent
_SMOLLM2, _SMALL = "SmolLM2-135M", "small Llama"
_ALONE = "each document alone"
# Every table is a problem. Methods search its fit.
TABLES = {
    table.name: table
    for table in (
        Table(
            "recorded_pydocs_gpu",
            _FOLDER / "smollm2_pydocs_147k.parquet",
            _SMOLLM2,
            "Python's language reference",
            "blocks that mix topics",
        ),
        Table(
            "recorded_pydocs",
            _FOLDER / "smollm2_pydocs_3k.parquet",
            _SMOLLM2,
            "Python's language reference",
            _ALONE,
        ),
        Table(
            "recorded_german",
            _FOLDER / "small_llama_german.parquet",
            _SMALL,
            "Debian's manual in German",
            _ALONE,
        ),
        Table(
            "recorded_answers",
            _FOLDER / "small_llama_answers.parquet",
            _SMALL,
            "signatures and docstrings",
            _ALONE,
        ),
        Table(
            "recorded_code",
            _FOLDER / "small_llama_code.parquet",
            _SMALL,
            "PyTorch's C++ headers",
            "blocks of 32 tokens",
        ),
    )
}
EARLIER = {  # tables of an earlier study on the same model: other length, or other data
    "recorded_pydocs_gpu": "recorded_pydocs",
    "recorded_pydocs": "recorded_pydocs_gpu",
    "recorded_german": "recorded_answers",
    "recorded_answers": "recorded_german",
    "recorded_code": "recorded_answers",
}
REFERENCE_COUNT = 255  # quasi-random configurations that determine the scale of a problem
LANDSCAPE_OFFSET = 1000  # offset of the seed of another landscape


def problem(name: str) -> Problem:
    """Return a recorded table, or a family with a seed: ``agreeing:3``.

    Raises:
        ValueError: there is no such problem.
    """
    family, _, seed = name.partition(":")
    if family in FAMILIES:
        return Family(family, int(seed or 0))
    if name in TABLES:
        return TABLES[name]
    allowed = ", ".join([*TABLES, *FAMILIES])
    raise ValueError(f"problem: {name!r} given, allowed: {allowed}")


@cache
def reference_configurations() -> tuple[Mapping[str, Any], ...]:
    """Return the quasi-random configurations."""
    return tuple(quasi_random(space(), REFERENCE_COUNT))


def earlier_problem(than: Problem) -> Problem:
    """Return the problem of an earlier study: another table, or another landscape of the family."""
    if isinstance(than, Family):
        return Family(than.name, than.seed + LANDSCAPE_OFFSET)
    return problem(EARLIER[than.name])
