"""What does a study leave behind? A table, the best configuration, and upstream's result file."""

import csv
import os
import shlex
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from ugro.files import BEST, CONFIG, TABLE, UPSTREAM_RESULTS, trial_folder, write_whole
from ugro.record.study import Study, ending, metrics, source
from ugro.space.search_space import override


def write_results(study: Study, folder: Path) -> None:
    """Write ``trials.csv``, ``optimization_results.yaml`` and ``experiment/best.yaml``.

    The latter two are written once a trial is complete.

    Args:
        study: finished, running or stopped
        folder: the study's own, with its trials' folders in ``trials/``
    """
    write_table(study, folder / TABLE)
    best = study.best()
    if best is None:
        return
    write_whole(folder / UPSTREAM_RESULTS, OmegaConf.to_yaml(_as_upstream(study, best)))
    trial_config = trial_folder(folder, best.number) / CONFIG
    if trial_config.exists():
        write_whole(folder / BEST, experiment(best, trial_config))


def _as_upstream(study: Study, best: FrozenTrial) -> dict[str, Any]:
    """What the upstream sweeper writes: the best trial, or the front of several objectives."""
    if len(study.objectives) == 1:
        return {"name": "optuna", "best_params": best.params, "best_value": best.value}
    front = [{"params": trial.params, "values": list(trial.values)} for trial in study.front()]
    return {"name": "optuna", "solutions": front}


def write_table(study: Study, path: Path) -> None:
    """A row a trial: number, state, value, the searched keys, what it measured, reason.

    With several objectives each has a column of its own instead of ``value``. A pruned trial's
    value is its last intermediate one.
    """
    trials = study.trials()
    objectives = ["value"] if len(study.objectives) == 1 else list(study.objectives)
    searched = list(study.searched())
    measured = dict.fromkeys(name for trial in trials for name in metrics(trial))
    names = [name for name in measured if name not in objectives]
    ends = ["seconds", "reason", "source", "error"]
    draft = path.with_suffix(".draft")
    draft.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["number", "state", *objectives, *searched, *names, *ends])
        for trial in trials:
            how, found = ending(trial), metrics(trial)
            seconds = trial.duration.total_seconds() if trial.duration else None
            told = [seconds, how.value if how else None, source(trial)]
            table.writerow(
                [trial.number, trial.state.name]
                + _values(trial, len(objectives))
                + [trial.params.get(key) for key in searched]
                + [found.get(name) for name in names]
                + [*told, trial.user_attrs.get("error")]
            )
    os.replace(draft, path)


def _values(trial: FrozenTrial, count: int) -> list[float | None]:
    return list(trial.values) if trial.values else [None] * count


def experiment(best: FrozenTrial, trial_config: Path) -> str:
    """The best trial's configuration, less what is of its study alone, as a Hydra experiment."""
    config: Any = OmegaConf.load(trial_config)
    del config["study"], config["scheduler"]
    pasted = best_overrides(best)
    head = (
        "# @package _global_\n"
        f"# Trial {best.number}, value {', '.join(map(str, best.values))}.\n"
        f"# As overrides: {pasted}\n"
    )
    return head + OmegaConf.to_yaml(config)


def best_overrides(trial: FrozenTrial) -> str:
    """A trial's searched keys as overrides to paste into a shell."""
    return shlex.join(override(key, value) for key, value in trial.params.items())
