"""In what do studies differ? In their spaces, their configurations, what Hydra was told."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ugro.analysis.tables import Tables
from ugro.space.search_space import described

# A study's own business: it decides nothing that trials come to.
APART = ("study.name", "study.dir", "study.artifacts", "study.analysis", "study.confirm",
         "tracking", "monitoring", "cache_dir")  # fmt: skip
# With another of these, values are not of the same thing.
OF_THE_TASK = ("model.", "data.", "objectives.")
RAN_WITH = ("git_commit", "torch", "transformers", "peft", "processor", "cpus")
NOT_SEARCHED, NOT_THERE, NOT_KNOWN, DEFAULT = "not searched", "none", "not known", "default"


def differing(studies: Sequence[Tables]) -> dict[str, tuple[str, ...]]:
    """What is not the same in all of them: for each key its value in each study.

    A searched key's value is what was searched. What a study does not tell differs from nothing.
    """
    told = [_settings(tables) for tables in studies]
    searched = {key for tables in studies for key in tables.searched}
    rows = {}
    for key in dict.fromkeys(key for one in told for key in one):
        pairs = zip(told, studies, strict=True)
        row = tuple(one.get(key) or _unsaid(key, tables, key in searched) for one, tables in pairs)
        if len(set(row) - {NOT_KNOWN}) > 1:
            rows[key] = row
    return rows


def of_another_task(rows: Mapping[str, Any]) -> list[str]:
    """The keys among them that make values incomparable."""
    return [key for key in rows if key.startswith(OF_THE_TASK)]


def _settings(tables: Tables) -> dict[str, str]:
    hydra = dict(one.split("=", 1) for one in tables.overrides if _is_hydras(one))
    ran_with = {key: tables.provenance[key] for key in RAN_WITH if key in tables.provenance}
    searched = {key: f"from {described(over)}" for key, over in tables.searched.items()}
    return {**searched, **hydra, **dict(_flat(tables.configuration)), **searched, **ran_with}


def _is_hydras(override: str) -> bool:
    return override.startswith(("hydra/", "hydra.sweeper", "hydra.launcher")) and "=" in override


def _unsaid(key: str, tables: Tables, searched: bool) -> str:
    """What holds where a study says nothing of a key."""
    if not tables.configuration:
        return NOT_SEARCHED if searched else NOT_KNOWN
    return DEFAULT if key.startswith("hydra") else NOT_KNOWN if key in RAN_WITH else NOT_THERE


def _flat(configuration: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in configuration.items():
        key = f"{above}{name}"
        if key.startswith(APART):
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{key}.")
        else:
            yield key, "null" if value is None else str(value)
