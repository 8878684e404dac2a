"""What does a study look like on a terminal while it runs? Drawn from its standing."""

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

LABEL = 7  # columns before a line of the head
MOST_LINES = 3  # for the parameters of one trial
WIDE = 120  # columns from which on bars are longer
LEAST = 20  # columns for the parameters: rather leave something else out
GAP = 2  # columns between two of a table


class Display:
    """A study at one moment, as wide as the terminal and never higher.

    Args:
        at: how the study stands
        now: Unix time
    """

    def __init__(self, at: StudyState, now: float) -> None:
        self._at = at
        self._now = now
        self.widths: list[int] = []  # of its lines, once it was drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Line by line, without the blanks at their ends."""
        width, height = options.max_width, options.size.height - 1
        parts = list(_head(self._at, self._now, width, height))
        if self._at.running:
            rows = height - len(parts) - 2  # a blank line, the table's heading
            parts += [Text(), _running(self._at, width, max(1, rows))]
        drawn = console.render_lines(Group(*parts), options, pad=False)[:height]
        lines = [_without_blanks(line) for line in drawn]
        self.widths = [Segment.get_line_length(line) for line in lines]
        for line in lines:
            yield from line
            yield Segment.line()


def _head(at: StudyState, now: float, width: int, height: int) -> Iterator[RenderableType]:
    """Of one line each."""
    study = at.study
    if study is None:
        return
    yield _ends(Text(study.name, "bold"), f"{len(at.running)} of {at.slots} slots busy")
    yield _ends(_bar(at.done, study.trials, "green"), f"{at.done} of {study.trials} trials")
    yield _line("Time", Text(_time(at, now)), width)
    best = at.best()
    if best is None:
        yield _line("Best", Text("none yet"), width)
    elif len(study.objectives) == 1:
        yield _line("Best", Text.assemble(_best(at, 0), _gain(at)), width)
        [own] = _parameters(at, [best], width - LABEL, min(MOST_LINES, height // 8))
        yield from (_line("", line, width) for line in own)
    else:
        for objective in range(len(study.objectives)):
            yield _line("" if objective else "Best", _best(at, objective), width)
        yield _line("", Text(f"not dominated: {len(at.front)}"), width)
    counts = ", ".join(f"{count} {how}" for how, count in at.counts.items())
    yield _line("Ended", Text(counts or "none yet"), width)


def _time(at: StudyState, now: float) -> str:
    told = f"{duration(now - at.study.time)} so far" if at.study else ""
    left = at.seconds_left(now)
    if left is None:
        return told
    form = "%H:%M" if left < 12 * 3600 else "%a %H:%M"
    until = time.strftime(form, time.localtime(now + left))
    return f"{told}, about {duration(left)} to go, until {until}"


def _best(at: StudyState, objective: int) -> Text:
    best = at.best(objective)
    if best is None or at.study is None:
        return Text()
    value = measured(at.values[best][objective])
    return Text(f"{at.study.objectives[objective]} {value}, trial {best}", "bold")


def _gain(at: StudyState) -> Text:
    gain = at.gain()
    if gain is None:
        return Text()
    share = "" if gain.share is None else f" ({gain.share:.1%})"
    return Text(f"; {measured(gain.amount)}{share} better than the baseline", "green")


@dataclass(frozen=True)
class _Column:
    """A column of the running trials."""

    heading: str
    width: int  # 0: what the others leave
    justify: JustifyMethod
    cell: Callable[[Running], RenderableType]
    dispensable: int = 0  # on a narrow terminal the highest go first


def _running(at: StudyState, width: int, rows: int) -> Table:
    """The running trials: as many as fit, each in some lines if there is room."""
    every = sorted(at.running.values(), key=lambda one: one.number)
    shown = every if len(every) <= rows else every[: rows - 1]
    columns = _columns(at, every, width)
    while (left := _left(columns, width)) < LEAST and any(one.dispensable for one in columns):
        columns.remove(max(columns, key=lambda one: one.dispensable))
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for one in columns:
        wide = one.width or max(1, left)
        table.add_column(one.heading, justify=one.justify, width=wide, no_wrap=True)
    lines = max(1, min(MOST_LINES, rows // len(every)))
    parameters = _parameters(at, [one.number for one in shown], max(1, left), lines)
    for trial, own in zip(shown, parameters, strict=True):
        joined = Text("\n").join(own)
        table.add_row(*(one.cell(trial) if one.width else joined for one in columns))
    if more := len(every) - len(shown):
        table.add_row("", Text(f"and {more} more", "dim"))
    return table


def _left(columns: list[_Column], width: int) -> int:
    """What the parameters have."""
    return width - sum(one.width for one in columns) - GAP * (len(columns) - 1)


def _columns(at: StudyState, running: list[Running], width: int) -> list[_Column]:
    reported = {name for one in running if one.report for name in one.report.metrics}
    names = [name for name in (at.study.objectives if at.study else ()) if name in reported]
    steps = max((one.report.total_steps for one in running if one.report), default=0)
    columns = [
        _Column("trial", 5, "right", lambda one: str(one.number)),
        _Column("with", 0, "left", lambda one: ""),
        _Column("", 16 if width >= WIDE else 8, "left", _steps, dispensable=3),
        _Column("step", max(8, 2 * len(str(steps)) + 1), "right", _step),
        _Column("tokens/s", 8, "right", _speed, dispensable=2),
    ]
    for name in names[:2] or ["eval_loss"]:
        columns.append(_Column(name, max(8, len(name)), "right", partial(_value, name)))
    if at.has_rungs:
        columns.append(_Column("rung", 4, "right", lambda one: str(one.rung or ""), dispensable=1))
    return columns


def _steps(one: Running) -> RenderableType:
    return _bar(one.report.step, one.report.total_steps, "cyan") if one.report else ""


def _step(one: Running) -> str:
    if one.report is not None:
        return f"{one.report.step}/{one.report.total_steps}"
    return "waits" if one.started_at is None else "loads"


def _speed(one: Running) -> str:
    return "" if one.tokens_per_second is None else f"{one.tokens_per_second:,.0f}"


def _value(name: str, one: Running) -> Text:
    value = one.report.metrics.get(name) if one.report else None
    if value is None:
        return Text()
    return Text(measured(value), "" if math.isfinite(value) else "bold red")


def _ends(left: RenderableType, right: str) -> Table:
    """Something from the left to what stands at the right end."""
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


def _parameters(at: StudyState, trials: list[int], width: int, most: int) -> list[list[Text]]:
    """Of each trial what is not as configured, in lines.

    If it is too much for one of them, all have short names; what still does not fit is cut off.
    """
    every = [at.differing(number) for number in trials]
    for dense in (False, True):
        told = [" ".join(assignments(own, dense)) or "as configured" for own in every]
        wrapped = [textwrap.wrap(one, width, break_on_hyphens=False) for one in told]
        if all(len(lines) <= most for lines in wrapped):
            break
    else:
        wrapped = [textwrap.wrap(one, width, max_lines=most, placeholder=" …") for one in told]
    return [[_coloured(line) for line in lines] for lines in wrapped]


def _coloured(line: str) -> Text:
    """The values set off from the keys."""
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
