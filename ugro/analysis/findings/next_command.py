"""Build commands that resume a study, start a follow-up study, or run a single trial."""

import shlex
from collections.abc import Iterable, Sequence

from ugro.analysis.tables import Tables
from ugro.shell import is_sweep, literal, train_command


def goes_on(tables: Tables, *changes: str) -> str:
    """Return the command that resumes the study; empty if its command is unknown."""
    return _command(tables.overrides, [f"study.name={literal(tables.name)}", *changes])


def begins(tables: Tables, *changes: str) -> str:
    """Return the command of a new, warm-started study; empty if the original is unknown."""
    given = {_key(one): one for one in tables.overrides}
    folder = given.get("study.dir", "").partition("=")[2] or literal(tables.name)
    first = [f"study.warm_start=[{folder}]"]
    if "$" in folder or "hydra.sweeper.storage" in given:
        first = []  # warm starts read the database in the study's folder
    kept = [one for key, one in given.items() if key != "study.dir"]
    return _command(kept, [f"study.name={literal(_next(tables.name))}", *first, *changes])


def alone(tables: Tables, overrides: Sequence[str]) -> str:
    """Return the command that runs a single trial; empty if the study's command is unknown."""
    if not tables.overrides:
        return ""
    kept = [one for one in tables.overrides if not _key(one).startswith(("study.", "hydra"))]
    own = {_key(one) for one in overrides}
    kept = [one for one in kept if _key(one) in own or not is_sweep(one)]  # drop unused sweeps
    return shlex.join([*train_command(), *_last((*kept, *overrides))])


def _command(given: Sequence[str], changes: Sequence[str]) -> str:
    return shlex.join([*train_command(sweep=True), *_last((*given, *changes))]) if given else ""


def _last(overrides: Iterable[str]) -> list[str]:
    """Keep the last override of each key, at the position of the first."""
    return list({_key(one): one for one in overrides}.values())


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")


def _next(name: str) -> str:
    """Return the next name: ``mine_2`` after ``mine``, ``mine_3`` after ``mine_2``."""
    stem, _, count = name.rpartition("_")
    return (
        f"{stem}_{int(count) + 1}" if stem and count.isdigit() and len(count) < 3 else f"{name}_2"
    )
