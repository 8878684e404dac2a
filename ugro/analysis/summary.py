"""How is a study told on a terminal? The trials, the best one, what it gained, how to use it."""

from pathlib import Path

from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ugro.analysis.results import best_overrides
from ugro.files import ADAPTER, TABLE, trial_folder
from ugro.record.study import Study, ending, metrics, source

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
    for line in _best(study, best, folder):
        console.print(line, soft_wrap=True, highlight=False, markup=False)  # [q_proj] is no style


def _table(study: Study) -> Table:
    searched = list(study.searched())
    title = escape(f"Study {study.record.study_name}")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True)
    columns = ["trial", *_objectives(study), *_headings(searched), "tokens", "seconds", "state"]
    for column in columns:
        table.add_column(column, justify="left" if column == "state" else "right", overflow="fold")
    for trial in _ranked(study)[:MOST_ROWS]:
        table.add_row(*map(escape, _row(trial, len(study.objectives), searched)))
    return table


def _objectives(study: Study) -> list[str]:
    return ["value"] if len(study.objectives) == 1 else list(study.objectives)


def _headings(keys: list[str]) -> list[str]:
    """The keys' last parts, where those tell them apart: a terminal is narrow."""
    short = [key.rpartition(".")[2] for key in keys]
    return [s if short.count(s) == 1 else key for s, key in zip(short, keys, strict=True)]


def _ranked(study: Study) -> list[FrozenTrial]:
    """Complete trials, best first; then the others, those that came farthest first."""
    ranked = study.ranked()
    rest = [trial for trial in study.trials() if trial.state is not TrialState.COMPLETE]
    rest.sort(key=lambda trial: (not trial.state.is_finished(), -(trial.last_step or 0)))
    return ranked + rest


def _row(trial: FrozenTrial, objectives: int, searched: list[str]) -> list[str]:
    measured = metrics(trial)
    how = ending(trial)
    values = list(trial.values) if trial.values else [None] * objectives
    return [
        str(trial.number),
        *map(_number, values),
        *(_number(trial.params.get(key)) for key in searched),
        _number(measured.get("tokens_seen")),
        f"{measured['train_seconds']:.0f}" if "train_seconds" in measured else "",
        how.value if how else trial.state.name.lower(),
    ]


def _number(value: object) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


def _counts(study: Study) -> str:
    endings = [(ending(trial), trial.state.name.lower()) for trial in study.trials()]
    told = [how.value if how else state for how, state in endings]
    return ", ".join(f"{told.count(name)} {name}" for name in dict.fromkeys(told)) or "no trial yet"


def _best(study: Study, best: FrozenTrial, folder: Path) -> list[str]:
    measured = metrics(best)
    values = ", ".join(f"{value:.4f}" for value in best.values)
    named = ", ".join(_objectives(study))
    lines = [f"Best: trial {best.number}, {named} {values}"]
    if len(study.objectives) > 1:
        front = ", ".join(str(trial.number) for trial in study.front())
        lines.append(f"Not dominated: trials {front}; the best is that of the first objective")
    if "base_eval_loss" in measured:
        base, loss = measured["base_eval_loss"], measured["eval_loss"]
        lines.append(f"eval_loss {loss:.4f}; the untrained base model has {base:.4f}")
    return [
        *lines,
        *_gain(study, best),
        f"As overrides: {best_overrides(best)}",
        f"Run it again: python train.py --config-dir {folder} experiment=best",
        f"Its adapter: {trial_folder(folder, best.number) / ADAPTER}",
        f"All trials: {folder / TABLE}",
    ]


def _gain(study: Study, best: FrozenTrial) -> list[str]:
    """What the search has gained over the configuration as it was."""
    baseline = next((trial for trial in study.finished() if source(trial) == "baseline"), None)
    if baseline is None:
        return []
    if baseline.state is not TrialState.COMPLETE:
        how = ending(baseline)
        return [f"The configuration as it was, trial {baseline.number}, ended: {how and how.value}"]
    own, found = baseline.values[0], best.values[0]
    better = abs(found - own)
    share = f" ({better / abs(own):.1%})" if own else ""
    return [f"Gain over the configuration as it was, trial {baseline.number}: {better:.4f}{share}"]
