"""How is a study told on a terminal? The trials, the best one, what it gained, how to use it."""

from pathlib import Path

from optuna.trial import FrozenTrial
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ugro.sweep.results import best_overrides, trial_folder
from ugro.sweep.study import Study, ending, metrics

MOST_ROWS = 20  # the best ones


def show(study: Study, folder: Path, console: Console | None = None) -> None:
    """Print the summary of a study, running or finished."""
    console = console or Console()
    console.print(_table(study))
    console.print(_counts(study))
    best = study.best()
    if best is None:
        console.print("No trial is complete yet: there is no best configuration.")
        return
    for line in _best(best, folder):
        console.print(line, soft_wrap=True, highlight=False, markup=False)  # [q_proj] is no style


def _table(study: Study) -> Table:
    searched = list(study.searched())
    title = escape(f"Study {study.record.study_name}")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True)
    for column in ("trial", "value", *_headings(searched), "tokens", "seconds", "state"):
        table.add_column(column, justify="left" if column == "state" else "right", overflow="fold")
    for trial in _ranked(study)[:MOST_ROWS]:
        table.add_row(*map(escape, _row(trial, searched)))
    return table


def _headings(keys: list[str]) -> list[str]:
    """The keys' last parts, where those tell them apart: a terminal is narrow."""
    short = [key.rpartition(".")[2] for key in keys]
    return [s if short.count(s) == 1 else key for s, key in zip(short, keys, strict=True)]


def _ranked(study: Study) -> list[FrozenTrial]:
    """Best first; trials without a value last."""
    maximised = study.record.direction.name == "MAXIMIZE"
    valued = [trial for trial in study.trials() if trial.value is not None]
    valued.sort(key=lambda trial: trial.value or 0.0, reverse=maximised)
    return valued + [trial for trial in study.trials() if trial.value is None]


def _row(trial: FrozenTrial, searched: list[str]) -> list[str]:
    measured = metrics(trial)
    how = ending(trial)
    return [
        str(trial.number),
        _number(trial.value),
        *(_number(trial.params.get(key)) for key in searched),
        _number(measured.get("tokens_seen")),
        f"{measured['train_seconds']:.0f}" if "train_seconds" in measured else "",
        how.value if how else "running",
    ]


def _number(value: object) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


def _counts(study: Study) -> str:
    endings = [how.value if how else "running" for how in map(ending, study.trials())]
    told = [f"{endings.count(name)} {name}" for name in dict.fromkeys(endings)]
    return ", ".join(told) or "no trial yet"


def _best(best: FrozenTrial, folder: Path) -> list[str]:
    measured = metrics(best)
    lines = [f"Best: trial {best.number}, value {best.value:.4f}"]
    if "base_eval_loss" in measured:
        base, loss = measured["base_eval_loss"], measured["eval_loss"]
        lines.append(f"eval_loss {loss:.4f}; the untrained base model has {base:.4f}")
    return [
        *lines,
        f"As overrides: {best_overrides(best)}",
        f"Run it again: python train.py --config-dir {folder} experiment=best",
        f"Its adapter: {trial_folder(folder, best.number) / 'adapter'}",
        f"All trials: {folder / 'trials.csv'}",
    ]
