"""What a study leaves: a table, the best configuration, and upstream's result file."""

import csv
import math
import os
import shlex
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from ugro.analysis.tables import Tables
from ugro.paths import BEST, CONFIG, TABLE, UPSTREAM_RESULTS, trial_folder, write_atomically
from ugro.shell import override
from ugro.study.study import Study, ending, group, metrics, searched_by, source

OF_STUDY = ("study", "scheduler", "tracking", "monitoring")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet runs


def write_results(study: Study, tables: Tables, folder: Path, preferred: int | None = None) -> None:
    """Write ``trials.csv``, ``optimization_results.yaml`` and ``experiment/best.yaml``.

    The latter two are written once a trial is complete.

    Args:
        study: finished, running or stopped
        tables: its own
        folder: the study's own, with its trials' folders in ``trials/``
        preferred: the trial that a confirmation clearly prefers to the best one: to be run again
    """
    write_table(study, tables, folder / TABLE)
    best = study.best()
    if best is None:
        return
    write_atomically(folder / UPSTREAM_RESULTS, OmegaConf.to_yaml(_as_upstream(study, best)))
    chosen = next((one for one in study.ranked() if one.number == preferred), best)
    trial_config = trial_folder(folder, chosen.number) / CONFIG
    if trial_config.exists():
        instead = f"; confirmed as better than trial {best.number}, which has the best value"
        why = "" if chosen.number == best.number else instead
        write_atomically(folder / BEST, experiment(chosen, trial_config, why))


def _as_upstream(study: Study, best: FrozenTrial) -> dict[str, Any]:
    """What the upstream sweeper writes: the best trial, or the front of several objectives."""
    if len(study.objectives) == 1:
        return {"name": "optuna", "best_params": best.params, "best_value": best.value}
    front = [{"params": trial.params, "values": list(trial.values)} for trial in study.front()]
    return {"name": "optuna", "solutions": front}


def write_table(study: Study, tables: Tables, path: Path) -> None:
    """A row a trial: number, state, value, the searched keys, what it measured, reason.

    With several objectives each has a column of its own instead of ``value``. A pruned trial's
    value is its last intermediate one. Seconds are those that it stayed in slots. Where there are
    several groups of trials, which are not ranked with one another, a column says which.
    """
    trials = study.of_all_groups()
    groups = {group(trial) for trial in trials} | {study.group}
    grouped = ["group"] if len(groups) > 1 else []
    objectives = ["value"] if len(tables.objectives) == 1 else list(tables.objectives)
    keys = list(searched_by(trials))
    searched = [tables.column(key) for key in keys]
    measured = dict.fromkeys(name for trial in trials for name in metrics(trial))
    seconds = tables.stays
    head, ends = (
        ["number", *grouped, "state", *objectives, *searched],
        ["seconds", "reason", "source", "error"],
    )
    names = [name for name in measured if name not in (*head, *ends)]
    draft = path.with_suffix(".draft")
    draft.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(map(_cell, [*head, *names, *ends]))
        for trial in trials:
            how, found = ending(trial), metrics(trial)
            told = [seconds.get(trial.number), how.value if how else None, source(trial)]
            row = (
                [trial.number, *([group(trial)] if grouped else []), trial.state.name]
                + _values(trial, len(objectives))
                + [trial.params.get(key) for key in keys]
                + [found.get(name) for name in names]
                + [*told, trial.user_attrs.get("error")]
            )
            table.writerow(map(_cell, row))
    os.replace(draft, path)


def _values(trial: FrozenTrial, count: int) -> list[float | None]:
    return list(trial.values) if trial.values else [None] * count


def _cell(value: Any) -> Any:
    """What nobody's spreadsheet runs: a text like a formula gets an apostrophe in front.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if not isinstance(value, str) or not value.startswith(FORMULA) or _is_number(value):
        return value
    return f"'{value}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def experiment(best: FrozenTrial, trial_config: Path, why: str = "") -> str:
    """The best trial's configuration, less what is of its study alone, as a Hydra experiment."""
    config: Any = OmegaConf.load(trial_config)
    for name in OF_STUDY:
        config.pop(name, None)
    pasted = best_overrides(best)
    head = (
        "# @package _global_\n"
        f"# Trial {best.number}, value {', '.join(map(str, best.values))}{why}.\n"
        f"# As overrides: {pasted}\n"
        "defaults:\n"
        "- override /objectives: empty\n"  # metrics of another option would join those below
    )
    return head + OmegaConf.to_yaml(config)


def best_overrides(trial: FrozenTrial) -> str:
    """A trial's searched keys as overrides to paste into a shell."""
    return shlex.join(override(key, value) for key, value in trial.params.items())
