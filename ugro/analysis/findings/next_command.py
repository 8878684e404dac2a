"""Build commands that resume a study, start a follow-up study, or run a single trial."""

import shlex
from collections.abc import Iterable, Sequence

from ugro.analysis.tables import Tables
from ugro.shell import is_sweep, literal, train_command


def resume_command(tables: Tables, *changes: str) -> str:
    """Return the command that resumes the study; empty if its command is unknown."""
    return _command(tables.overrides, [f"study.name={literal(tables.name)}", *changes])


def follow_up_command(tables: Tables, *changes: str) -> str:
    """Return the command of a new, warm-started study; empty if the original is unknown."""
    given = {_key(override): override for override in tables.overrides}
    folder = given.get("study.dir", "").partition("=")[2] or literal(tables.name)
    first = [f"study.warm_start=[{folder}]"]
    if "$" in folder or "hydra.sweeper.storage" in given:
        first = []  # warm starts read the database in the study's folder
    kept = [override for key, override in given.items() if key != "study.dir"]
    return _command(kept, [f"study.name={literal(_next(tables.name))}", *first, *changes])


def single_trial_command(tables: Tables, overrides: Sequence[str]) -> str:
    """Return the command that runs a single trial; empty if the study's command is unknown."""
    if not tables.overrides:
        return ""
    own = {_key(override) for override in overrides}
    kept = [
        override
        for override in tables.overrides
        if not _key(override).startswith(("study.", "hydra"))
        and (_key(override) in own or not is_sweep(override))  # drop unused sweeps
    ]
    return shlex.join([*train_command(), *_last((*kept, *overrides))])


def _command(given: Sequence[str], changes: Sequence[str]) -> str:
    return shlex.join([*train_command(sweep=True), *_last((*given, *changes))]) if given else ""


def _last(overrides: Iterable[str]) -> list[str]:
    """Keep the last override of each key, at the position of the first."""
    return list({_key(override): override for override in overrides}.values())


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")


def _next(name: str) -> str:
    """Return the next name: ``mine_2`` after ``mine``, ``mine_3`` after ``mine_2``."""
    stem, _, count = name.rpartition("_")
    return (
        f"{stem}_{int(count) + 1}" if stem and count.isdigit() and len(count) < 3 else f"{name}_2"
    )
