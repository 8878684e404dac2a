"""Write the result files of a study: table of trials, best configuration, upstream's results."""

import csv
import math
import os
import shlex
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from ugro.analysis.tables import Tables
from ugro.config import ADAPTERS
from ugro.paths import BEST, CONFIG, TABLE, UPSTREAM_RESULTS, trial_folder, write_atomically
from ugro.shell import override
from ugro.study.study import Study
from ugro.study.trial_record import group, metrics, recorded_outcome, searched_by, source

OF_STUDY = ("study", "scheduler", "tracking", "monitoring", "estimate")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # prefixes that spreadsheets evaluate


def write_results(study: Study, tables: Tables, folder: Path, preferred: int | None = None) -> None:
    """Write ``trials.csv``, ``optimization_results.yaml`` and ``experiment/best.yaml``.

    The latter two require a complete trial.

    Args:
        study: running, stopped or finished study
        tables: tables of the study
        folder: folder of the study, with trial folders in ``trials/``
        preferred: trial that the confirmation prefers to the best trial, used for ``best.yaml``
    """
    write_table(study, tables, folder / TABLE)
    best = study.best()
    if best is None:
        return
    write_atomically(folder / UPSTREAM_RESULTS, OmegaConf.to_yaml(_as_upstream(study, best)))
    chosen = next((trial for trial in study.ranked() if trial.number == preferred), best)
    trial_config = trial_folder(folder, chosen.number) / CONFIG
    if trial_config.exists():
        instead = f"; confirmed as better than trial {best.number}, which has the best value"
        why = "" if chosen.number == best.number else instead
        write_atomically(folder / BEST, experiment(chosen, trial_config, why))


def _as_upstream(study: Study, best: FrozenTrial) -> dict[str, Any]:
    """Return the results in the upstream sweeper's format: best trial or Pareto front."""
    if len(study.objectives) == 1:
        return {"name": "optuna", "best_params": best.params, "best_value": best.value}
    front = [{"params": trial.params, "values": list(trial.values)} for trial in study.front()]
    return {"name": "optuna", "solutions": front}


def write_table(study: Study, tables: Tables, path: Path) -> None:
    """Write a CSV row per trial: number, state, value, searched keys, metrics, reason.

    Several objectives have a column each instead of ``value``. The value of a pruned trial is its
    last intermediate value. Seconds are the time in slots. Several groups of trials, which are not
    ranked together, have a ``group`` column.
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
            how, found = recorded_outcome(trial), metrics(trial)
            tail = [seconds.get(trial.number), how.value if how else None, source(trial)]
            row = (
                [trial.number, *([group(trial)] if grouped else []), trial.state.name]
                + _values(trial, len(objectives))
                + [trial.params.get(key) for key in keys]
                + [found.get(name) for name in names]
                + [*tail, trial.user_attrs.get("error")]
            )
            table.writerow(map(_cell, row))
    os.replace(draft, path)


def _values(trial: FrozenTrial, count: int) -> list[float | None]:
    return list(trial.values) if trial.values else [None] * count


def _cell(value: Any) -> Any:
    """Escape a text that a spreadsheet would evaluate as a formula with an apostrophe.

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
    """Return the best trial's configuration, without study settings, as a Hydra experiment."""
    config: Any = OmegaConf.load(trial_config)
    not_chosen = [name for name in ADAPTERS if config.get(name, "absent") is None]
    for name in (*OF_STUDY, *not_chosen):
        config.pop(name, None)
    pasted = best_overrides(best)
    head = (
        "# @package _global_\n"
        f"# Trial {best.number}, value {', '.join(map(str, best.values))}{why}.\n"
        f"# As overrides: {pasted}\n"
        "defaults:\n"
        "- override /objectives: empty\n"  # else metrics of another option would be merged
    )
    return head + OmegaConf.to_yaml(config)


def best_overrides(trial: FrozenTrial) -> str:
    """Return a trial's parameters as overrides, quoted for a shell."""
    return shlex.join(override(key, value) for key, value in trial.params.items())
