"""Settings that differ between studies: search space, configuration, Hydra overrides."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ugro.analysis.tables import Tables
from ugro.space.search_space import described

# Settings without effect on the trials' values.
APART = ("study.name", "study.dir", "study.artifacts", "study.analysis", "study.confirm",
         "tracking", "monitoring", "cache_dir")  # fmt: skip
# Values are comparable only if these settings agree.
OF_THE_TASK = ("model.", "data.", "objectives.")
RAN_WITH = ("git_commit", "torch", "transformers", "peft", "processor", "cpus")
NOT_SEARCHED, NOT_THERE, NOT_KNOWN, DEFAULT = "not searched", "none", "not known", "default"


def differing(studies: Sequence[Tables]) -> dict[str, tuple[str, ...]]:
    """Return the settings that differ, with their value in each study.

    The value of a searched key is its distribution. Unknown values count as equal to any value.
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
    """Return the differing keys that make values incomparable."""
    return [key for key in rows if key.startswith(OF_THE_TASK)]


def _settings(tables: Tables) -> dict[str, str]:
    hydra = dict(one.split("=", 1) for one in tables.overrides if _is_hydras(one))
    ran_with = {key: tables.provenance[key] for key in RAN_WITH if key in tables.provenance}
    searched = {key: f"from {described(over)}" for key, over in tables.searched.items()}
    return {**searched, **hydra, **dict(_flat(tables.configuration)), **searched, **ran_with}


def _is_hydras(override: str) -> bool:
    return override.startswith(("hydra/", "hydra.sweeper", "hydra.launcher")) and "=" in override


def _unsaid(key: str, tables: Tables, searched: bool) -> str:
    """Return the placeholder for a key that a study does not set."""
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
