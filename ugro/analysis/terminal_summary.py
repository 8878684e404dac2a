"""Summary of a study on a terminal: trials, best trial, gain, and how to use the result."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ugro.analysis.results import best_overrides
from ugro.formatting import short_keys, short_value
from ugro.paths import ADAPTER, REPORT, TABLE, trial_folder
from ugro.shell import best_command
from ugro.study.study import Study
from ugro.study.trial_record import last_value, metrics, recorded_outcome, source

MOST_ROWS = 20  # maximum rows, the best trials
ANY_WIDTH = 10_000  # columns; wider than any table
STATE = 8  # columns of a wrapped state; most states are a single word


def show(
    study: Study,
    folder: Path,
    console: Console | None = None,
    test: Sequence[str] = (),
    besides: Sequence[str] = (),
) -> None:
    """Print the summary of a running or finished study.

    Args:
        study: record of the study
        folder: folder of the study
        console: console to print to; the terminal by default
        test: lines about the test part
        besides: final lines: certainty and suggestions
    """
    console = console or Console()
    console.print(_table(study, console))
    console.print(_counts(study))
    best = study.best()
    none = ["No trial is complete yet: there is no best configuration."]
    for line in (*(_best(study, best, folder, test) if best else none), *besides):
        console.print(line, soft_wrap=True, highlight=False, markup=False)  # [q_proj] is no markup


def _table(study: Study, console: Console) -> Table:
    """Return the table in the widest layout that fits; as a last resort, drop the last keys."""
    trials, keys = _ranked(study), list(study.searched())
    narrowest = replace(LAYOUTS[-1], keys=len(keys))
    layouts = [replace(layout, keys=len(keys)) for layout in LAYOUTS]
    layouts += [replace(narrowest, keys=shown) for shown in reversed(range(len(keys)))]
    unbounded = console.options.update(max_width=ANY_WIDTH)
    for layout in layouts:
        table = _laid_out(study, trials, keys, layout)
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
    return table


@dataclass(frozen=True)
class _Layout:
    """Column layout of a table."""

    folded: bool  # wrap headings at underscores
    tight: bool  # also wrap states, and separate columns by a single space
    cost: bool  # show tokens and seconds
    digits: int  # significant digits of a parameter
    keys: int = 0  # number of keys shown


LAYOUTS = (
    _Layout(folded=False, tight=False, cost=True, digits=4),
    _Layout(folded=True, tight=False, cost=True, digits=4),
    _Layout(folded=True, tight=True, cost=True, digits=4),
    _Layout(folded=True, tight=True, cost=False, digits=3),
)


def _laid_out(study: Study, trials: list[FrozenTrial], keys: list[str], layout: _Layout) -> Table:
    shown, left_out = trials[:MOST_ROWS], keys[layout.keys :]
    some = f": {len(shown)} of {len(trials)} trials" if len(shown) < len(trials) else ""
    table = Table(
        title=Text(f"Study {study.record.study_name}{some}"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0 if layout.tight else 1),
        collapse_padding=True,
        show_edge=not layout.tight,
        caption=f"{TABLE} has {', '.join(left_out)}, too" if left_out else None,
        caption_justify="left",
    )
    names = short_keys(keys)
    of_keys = [names[key] for key in keys[: layout.keys]]
    cost = ("tokens", "seconds") if layout.cost else ()
    for heading in ("no." if layout.tight else "trial", *_objectives(study), *of_keys, *cost):
        folded = heading.replace("_", "\n") if layout.folded else heading
        table.add_column(escape(folded), justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for trial in shown:
        own = keys[: layout.keys]
        table.add_row(*map(escape, _row(trial, len(study.objectives), own, layout)))
    return table


def _objectives(study: Study) -> list[str]:
    return ["value"] if len(study.objectives) == 1 else list(study.objectives)


def _ranked(study: Study) -> list[FrozenTrial]:
    """Return complete trials, the best first, then the others by resource, descending."""
    ranked = study.ranked()
    rest = [trial for trial in study.trials() if trial.state is not TrialState.COMPLETE]
    rest.sort(key=lambda trial: (not trial.state.is_finished(), -(trial.last_step or 0)))
    return ranked + rest


def _reported(trial: FrozenTrial, objectives: int) -> Sequence[float | None]:
    """Return the last reported value of a trial without a result, as of a paused one."""
    reported = last_value(trial) if objectives == 1 else None
    return reported or (None,) * objectives


def _row(trial: FrozenTrial, objectives: int, keys: list[str], layout: _Layout) -> list[str]:
    found = metrics(trial)
    values = trial.values or _reported(trial, objectives)
    seconds = f"{found['train_seconds']:.0f}" if "train_seconds" in found else ""
    cost = [_number(found.get("tokens_seen", trial.last_step)), seconds] if layout.cost else []
    state = _state(trial)
    return [
        str(trial.number),
        *map(_number, values),
        *(
            short_value(trial.params[key], layout.digits) if key in trial.params else ""
            for key in keys
        ),
        *cost,
        "\n".join(textwrap.wrap(state, STATE, break_long_words=False)) if layout.tight else state,
    ]


def _state(trial: FrozenTrial) -> str:
    how = recorded_outcome(trial)
    return how.in_words if how else trial.state.name.lower()


def _number(value: object) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    return "" if value is None else f"{value:,.0f}"


def _counts(study: Study) -> str:
    states = [_state(trial) for trial in study.trials()]
    counts = ", ".join(f"{states.count(name)} {name}" for name in dict.fromkeys(states))
    earlier = len(study.of_all_groups()) - len(states)
    more = f"; {earlier} of earlier groups, not ranked with these" if earlier else ""
    return f"{counts or 'no trial yet'}{more}"


def _best(study: Study, best: FrozenTrial, folder: Path, test: Sequence[str]) -> list[str]:
    measured = metrics(best)
    pairs = zip(_objectives(study), best.values, strict=True)
    named = ", ".join(f"{name} {value:.4f}" for name, value in pairs)
    lines = [f"Best: trial {best.number}, {named}", *test]
    if len(study.objectives) > 1:
        front = ", ".join(str(trial.number) for trial in study.front())
        lines.append(f"Not dominated: trials {front}; the best is that of the first objective")
    for name in dict.fromkeys((*study.objectives, "eval_loss")):
        if (base := measured.get(f"base_{name}")) is not None:
            error = measured.get(f"{name}_stderr")
            deviation = "" if error is None else f" (standard error over documents {error:.4f})"
            value = f"{name} {measured[name]:.4f}{deviation}"
            lines.append(f"{value}; the untrained base model has {base:.4f}")
    adapter = trial_folder(folder, best.number) / ADAPTER
    ours = [
        f"Run it again: {best_command(folder, exact=True)}",
        *([f"Its adapter: {adapter}"] if adapter.exists() else []),
    ]
    return [
        *lines,
        *_gain(study, best),
        f"As overrides: {best_overrides(best)}",
        *(ours if source(best) else []),  # trials of other programs have no files
        f"All trials: {folder / TABLE}",
        *([f"Report: {report}"] if (report := folder / REPORT).exists() else []),
    ]


def _gain(study: Study, best: FrozenTrial) -> list[str]:
    """Describe the gain over the baseline trial."""
    baseline = next((trial for trial in study.finished() if source(trial) == "baseline"), None)
    if baseline is None:
        return []
    if baseline.state is not TrialState.COMPLETE:
        return [f"The configuration as it was, trial {baseline.number}: {_state(baseline)}"]
    if baseline.number == best.number:
        return ["No trial was better than the configuration as it was"]
    own, found = baseline.values[0], best.values[0]
    better = abs(found - own)
    share = f" ({better / abs(own):.1%})" if own else ""
    return [f"Gain over the configuration as it was, trial {baseline.number}: {better:.4f}{share}"]
