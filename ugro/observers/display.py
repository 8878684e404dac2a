"""Render the state of a study for a terminal."""

import math
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ugro.events.study_state import Running, StudyState
from ugro.formatting import assignments, duration, measured

LABEL = 7  # width of the labels above the table
MOST_LINES = 3  # for the parameters of a trial
WIDE = 120  # terminal width in columns for longer bars
LEAST = 20  # columns for the parameters; other columns are dropped first
GAP = 2  # columns between two table columns


class Display:
    """A snapshot of a study, fitted to the width and height of the terminal.

    Args:
        state: of the study
        now: Unix time
    """

    def __init__(self, state: StudyState, now: float) -> None:
        self._state = state
        self._now = now
        self.widths: list[int] = []  # of the rendered lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines without trailing blanks."""
        width, height = options.max_width, options.size.height - 1
        parts = list(_head(self._state, self._now, width, height))
        if self._state.running:
            rows = height - len(parts) - 2  # a blank line and the table's header
            parts += [Text(), _running(self._state, width, max(1, rows))]
        drawn = console.render_lines(Group(*parts), options, pad=False)[:height]
        lines = [_without_blanks(line) for line in drawn]
        self.widths = [Segment.get_line_length(line) for line in lines]
        for line in lines:
            yield from line
            yield Segment.line()


def _head(state: StudyState, now: float, width: int, height: int) -> Iterator[RenderableType]:
    """Yield the lines above the table of running trials."""
    study = state.study
    if study is None:
        return
    yield _ends(Text(study.name, "bold"), f"{len(state.running)} of {state.slots} slots busy")
    paused = f", {len(state.paused)} paused" if state.paused else ""
    done = f"{state.done} of {study.trials} trials{paused}"
    yield _ends(_bar(state.done, study.trials, "green"), done)
    yield _line("Time", Text(_time(state, now)), width)
    best = state.best()
    if best is None:
        yield _line("Best", Text("none yet"), width)
    elif len(study.objectives) == 1:
        yield _line("Best", Text.assemble(_best(state, 0), _gain(state)), width)
        [own] = _parameters(state, [best], width - LABEL, min(MOST_LINES, height // 8))
        yield from (_line("", line, width) for line in own)
    else:
        for objective in range(len(study.objectives)):
            yield _line("" if objective else "Best", _best(state, objective), width)
        yield _line("", Text(f"not dominated: {len(state.front)}"), width)
    counts = ", ".join(f"{count} {label}" for label, count in state.counts.items())
    yield _line("Ended", Text(counts or "none yet"), width)
    if state.saved > 0:
        yield _line("Saved", Text(_saved(state)), width)
    if state.model is not None:
        yield _line("Model", Text(f"{state.model.model}: {state.model.reason}"), width)


def _saved(state: StudyState) -> str:
    text = f"{state.saved:.0%} of the tokens by early stopping"
    agreement = state.rank_agreement()
    if agreement is None:
        return text
    return f"{text}; ranks at a quarter agree by {agreement:.1f}"


def _time(state: StudyState, now: float) -> str:
    elapsed = f"{duration(now - state.study.time)} so far" if state.study else ""
    left = state.seconds_left(now)
    if left is None:
        return elapsed
    form = "%H:%M" if left < 12 * 3600 else "%a %H:%M"
    until = time.strftime(form, time.localtime(now + left))
    return f"{elapsed}, about {duration(left)} to go, until {until}"


def _best(state: StudyState, objective: int) -> Text:
    best = state.best(objective)
    if best is None or state.study is None:
        return Text()
    value = measured(state.values[best][objective])
    return Text(f"{state.study.objectives[objective]} {value}, trial {best}", "bold")


def _gain(state: StudyState) -> Text:
    gain = state.gain()
    if gain is None:
        return Text()
    share = "" if gain.share is None else f" ({gain.share:.1%})"
    return Text(f"; {measured(gain.amount)}{share} better than the baseline", "green")


@dataclass(frozen=True)
class _Column:
    """A column in the table of running trials."""

    heading: str
    width: int  # 0: the remaining width
    justify: JustifyMethod
    cell: Callable[[Running], RenderableType]
    dispensable: int = 0  # on a narrow terminal the highest are dropped first


def _running(state: StudyState, width: int, rows: int) -> Table:
    """Tabulate the running trials that fit, with several lines each if there is room."""
    trials = sorted(state.running.values(), key=lambda trial: trial.number)
    shown = trials if len(trials) <= rows else trials[: rows - 1]
    columns = _columns(state, trials, width)
    while (left := _remaining_width(columns, width)) < LEAST and any(
        c.dispensable for c in columns
    ):
        columns.remove(max(columns, key=lambda column: column.dispensable))
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        wide = column.width or max(1, left)
        table.add_column(column.heading, justify=column.justify, width=wide, no_wrap=True)
    lines = max(1, min(MOST_LINES, rows // len(trials)))
    parameters = _parameters(state, [trial.number for trial in shown], max(1, left), lines)
    for trial, own in zip(shown, parameters, strict=True):
        joined = Text("\n").join(own)
        table.add_row(*(column.cell(trial) if column.width else joined for column in columns))
    if more := len(trials) - len(shown):
        table.add_row("", Text(f"and {more} more", "dim"))
    return table


def _remaining_width(columns: list[_Column], width: int) -> int:
    """Return the width left for the parameters."""
    return width - sum(column.width for column in columns) - GAP * (len(columns) - 1)


def _columns(state: StudyState, running: list[Running], width: int) -> list[_Column]:
    reported = {name for trial in running if trial.report for name in trial.report.metrics}
    names = [name for name in (state.study.objectives if state.study else ()) if name in reported]
    steps = max((trial.report.total_steps for trial in running if trial.report), default=0)
    columns = [
        _Column("trial", 5, "right", lambda trial: str(trial.number)),
        _Column("with", 0, "left", lambda trial: ""),
        _Column("", 16 if width >= WIDE else 8, "left", _steps, dispensable=3),
        _Column("step", max(8, 2 * len(str(steps)) + 1), "right", _step),
        _Column("tokens/s", 8, "right", _speed, dispensable=2),
    ]
    for name in names[:2] or ["eval_loss"]:
        columns.append(_Column(name, max(8, len(name)), "right", partial(_value, name)))
    if state.has_rungs:
        columns.append(
            _Column("rung", 4, "right", lambda trial: str(trial.rung or ""), dispensable=1)
        )
    return columns


def _steps(trial: Running) -> RenderableType:
    return _bar(trial.report.step, trial.report.total_steps, "cyan") if trial.report else ""


def _step(trial: Running) -> str:
    if trial.report is not None:
        return f"{trial.report.step}/{trial.report.total_steps}"
    return "waits" if trial.started_at is None else "loads"


def _speed(trial: Running) -> str:
    return "" if trial.tokens_per_second is None else f"{trial.tokens_per_second:,.0f}"


def _value(name: str, trial: Running) -> Text:
    value = trial.report.metrics.get(name) if trial.report else None
    if value is None:
        return Text()
    return Text(measured(value), "" if math.isfinite(value) else "bold red")


def _ends(left: RenderableType, right: str) -> Table:
    """Align ``left`` to the left edge and ``right`` to the right edge."""
    grid = Table.grid(expand=True, padding=(0, GAP, 0, 0))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True, width=len(right))
    grid.add_row(left, right)
    return grid


def _line(label: str, text: Text, width: int) -> Text:
    line = Text.assemble((label.ljust(LABEL), "dim"), text, no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


def _bar(done: int, total: int, style: str) -> ProgressBar:
    return ProgressBar(max(1, total), min(done, total), complete_style=style, finished_style=style)


def _parameters(state: StudyState, trials: list[int], width: int, most: int) -> list[list[Text]]:
    """Wrap the parameters that differ from the configuration, trial by trial.

    If they exceed ``most`` lines for any trial, all trials use short names; the rest is truncated.
    """
    changed = [state.differing(number) for number in trials]
    for dense in (False, True):
        texts = [" ".join(assignments(own, dense)) or "as configured" for own in changed]
        wrapped = [textwrap.wrap(text, width, break_on_hyphens=False) for text in texts]
        if all(len(lines) <= most for lines in wrapped):
            break
    else:
        wrapped = [textwrap.wrap(text, width, max_lines=most, placeholder=" …") for text in texts]
    return [[_coloured(line) for line in lines] for lines in wrapped]


def _coloured(line: str) -> Text:
    """Dim the keys to set off the values."""
    text = Text(line)
    text.highlight_regex(r"[^\s=]+=", "dim")
    return text


def _without_blanks(line: list[Segment]) -> list[Segment]:
    kept = list(line)
    while kept and not kept[-1].text.strip():
        kept.pop()
    if kept:
        last = kept.pop()
        kept.append(Segment(last.text.rstrip(), last.style, last.control))
    return kept
