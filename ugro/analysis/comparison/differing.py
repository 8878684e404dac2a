"""Settings that differ between studies: search space, configuration, Hydra overrides."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ugro.analysis.tables import Tables
from ugro.space.search_space import described

# Settings without effect on the trials' values.
STUDY_SETTINGS = ("study.name", "study.dir", "study.artifacts", "study.analysis", "study.confirm",
         "tracking", "monitoring", "estimate", "cache_dir")  # fmt: skip
# Values are comparable only if these settings agree.
TASK_SETTINGS = ("model.", "data.", "objectives.")
PROVENANCE_KEYS = ("git_commit", "torch", "transformers", "peft", "processor", "cpus")
NOT_SEARCHED, UNSET, UNKNOWN, DEFAULT = "not searched", "none", "not known", "default"


def differing(studies: Sequence[Tables]) -> dict[str, tuple[str, ...]]:
    """Return the settings that differ, with their value in each study.

    The value of a searched key is its distribution. Unknown values count as equal to any value.
    """
    settings = [_settings(tables) for tables in studies]
    searched = {key for tables in studies for key in tables.searched}
    rows = {}
    for key in dict.fromkeys(key for known in settings for key in known):
        pairs = zip(settings, studies, strict=True)
        row = tuple(
            known.get(key) or _placeholder(key, tables, key in searched) for known, tables in pairs
        )
        if len(set(row) - {UNKNOWN}) > 1:
            rows[key] = row
    return rows


def of_another_task(rows: Mapping[str, Any]) -> list[str]:
    """Return the differing keys that make values incomparable."""
    return [key for key in rows if key.startswith(TASK_SETTINGS)]


def _settings(tables: Tables) -> dict[str, str]:
    hydra = dict(
        override.split("=", 1) for override in tables.overrides if _is_hydra_override(override)
    )
    ran_with = {key: tables.provenance[key] for key in PROVENANCE_KEYS if key in tables.provenance}
    searched = {key: f"from {described(over)}" for key, over in tables.searched.items()}
    return {**searched, **hydra, **dict(_flat(tables.configuration)), **searched, **ran_with}


def _is_hydra_override(override: str) -> bool:
    return override.startswith(("hydra/", "hydra.sweeper", "hydra.launcher")) and "=" in override


def _placeholder(key: str, tables: Tables, searched: bool) -> str:
    """Return the placeholder for a key that a study does not set."""
    if not tables.configuration:
        return NOT_SEARCHED if searched else UNKNOWN
    return DEFAULT if key.startswith("hydra") else UNKNOWN if key in PROVENANCE_KEYS else UNSET


def _flat(configuration: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in configuration.items():
        key = f"{above}{name}"
        if key.startswith(STUDY_SETTINGS):
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{key}.")
        else:
            yield key, "null" if value is None else str(value)
