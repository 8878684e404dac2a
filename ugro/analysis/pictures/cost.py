"""What did the best value cost? The best so far against all that was spent until then."""

import numpy
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ugro.analysis.comparable import unit
from ugro.analysis.findings.anytime import Spent
from ugro.analysis.findings.anytime import tokens as in_tokens
from ugro.analysis.findings.cost import cost_of
from ugro.analysis.pictures import labels, ticks
from ugro.analysis.pictures.marks import best_and_baseline, legend, size
from ugro.analysis.pictures.style import (
    BASELINE,
    BEST,
    COLOURS,
    frame,
    new_figure,
    styled,
    title,
)
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.window import Window, window_of
from ugro.formatting import duration, share

PANEL = 6.0  # inches wide


@styled
def draw(subject: Subject) -> Figure:
    """The best value against its cost.

    Raises:
        NothingToDrawError: no trial is complete, or nobody knows when.
    """
    if subject.best is None:
        raise NothingToDrawError("no trial is complete yet")
    ended = subject.tables.trials["ended"]
    values = subject.trials["value"].dropna()
    values = values[ended[values.index].dropna().sort_values(kind="stable").index]
    if values.empty:
        raise NothingToDrawError("nobody knows when a trial was complete")
    times = ended[values.index].to_numpy(dtype="float64")
    tokens, seconds = in_tokens(subject.tables, values), _seconds(subject, values, times)
    drawn = [one for one in (tokens, seconds) if one.total > 0]
    if not drawn:
        raise NothingToDrawError("nobody knows what trials have cost")
    figure = new_figure(2 * PANEL + 1.0 if len(drawn) == 2 else 11.0, 6.6)
    panels = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    window = window_of(subject, reached=False)
    for axes, spent in zip(panels, drawn, strict=True):
        _panel(axes, subject, spent, window)
        (_in_tokens if spent is tokens else _in_seconds)(axes, subject, spent)
    window.dress(panels[0], "y")
    panels[0].set_ylabel(labels.label(subject.objective))
    lines = [Line2D([], [], color=BEST, linewidth=2.5, label="best so far")]
    if subject.baseline is not None:
        lines.append(Line2D([], [], color=BASELINE, linestyle="--", label="value of the baseline"))
    notes = ["Cost of all trials, stopped and failed ones too.", window.note]
    frame(figure, _finding(subject, drawn[0]), notes, legend(figure, *lines))
    return figure


def _seconds(subject: Subject, values: pandas.Series, times: Numbers) -> Spent:
    """The time that trials were in slots until then."""
    spans = subject.tables.spans.dropna(subset=["began", "ended"])
    start = float(spans["began"].min()) if len(spans) else 0.0
    began, ended = (
        numpy.sort(spans[end].to_numpy(dtype="float64")) - start for end in ("began", "ended")
    )
    spent = _since(began, times - start) - _since(ended, times - start)
    return Spent(values, spent, float((ended - began).sum()))


def _since(moments: Numbers, times: Numbers) -> Numbers:
    """The time since each of the moments that have been, added up."""
    been = numpy.searchsorted(moments, times, side="right")
    sums = numpy.concatenate([[0.0], moments.cumsum()])
    added: Numbers = been * times - sums[been]
    return added


def _panel(axes: Axes, subject: Subject, spent: Spent, window: Window) -> None:
    better = subject.improvements(spent.values)
    at = pandas.Series(spent.at, index=spent.values.index)
    so_far = window.clipped([*better, better.iloc[-1]])
    axes.step(
        [*at[better.index], spent.total], so_far, where="post", color=BEST, linewidth=2.5, zorder=2
    )
    axes.scatter(
        at, window.clipped(spent.values), color=COLOURS[Kind.COMPLETE], s=size(len(subject.trials)),
        edgecolors="white", linewidths=0.5, label=Kind.COMPLETE.value, zorder=3,
    )  # fmt: skip
    for number, looks in best_and_baseline(subject):
        if number in at.index:
            axes.scatter(at[number], window.clipped(subject.value(number)), **looks)
    if subject.baseline is not None:
        own = float(window.clipped(subject.value(subject.baseline)))
        axes.axhline(own, color=BASELINE, linestyle="--", linewidth=1.3, zorder=1.5)
    axes.set_xlim(-0.02 * spent.total, 1.03 * spent.total)


def _in_tokens(axes: Axes, subject: Subject, spent: Spent) -> None:
    counted = unit(subject.tables)
    ticks.resource(axes, "x", f"{counted}, of all trials together")
    saved = cost_of(subject.tables, 0).saved
    told = f"{labels.amount(spent.total)} {counted} in all"
    stopped = len(subject.of(Kind.STOPPED)) and saved and saved > 0
    title(
        axes, f"{told}; early stopping saved {share(saved)}" if stopped and saved else told, PANEL
    )


def _in_seconds(axes: Axes, subject: Subject, spent: Spent) -> None:
    size, name = labels.unit_of_time(spent.total)
    marks = ticks.linear(0, spent.total / size, most=7)
    axes.set_xticks([mark * size for mark in marks], [ticks.short(mark) for mark in marks])
    axes.set_xlabel(f"{name} in slots, of all trials together")
    title(axes, f"{duration(spent.total)} in slots", PANEL)


def _finding(subject: Subject, spent: Spent) -> str:
    if subject.best is None or subject.best not in spent.values.index:
        return labels.headline(subject)
    at = spent.at[spent.values.index.get_loc(subject.best)] / spent.total
    found = labels.value(subject, subject.best)
    return f"The best, {found}, came after {share(at)} of the cost"
