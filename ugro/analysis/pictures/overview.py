"""How did the search go, and what came out? Four panels: progress, key, values, importance."""

from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ugro.analysis.pictures import labels
from ugro.analysis.pictures.key_axis import key_axis
from ugro.analysis.pictures.marks import legend, mark, strewn
from ugro.analysis.pictures.style import (
    BASELINE,
    BEST,
    COLOURS,
    frame,
    new_figure,
    say,
    styled,
    title,
)
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject
from ugro.analysis.pictures.window import Window, window_of
from ugro.formatting import counted, number, share

PANEL = 6.2  # inches wide
MOST_BARS = 8
BINS, FEW_BINS, A_BIN = 25, 13, 5  # bars of the distribution, and trials that one should have


@styled
def draw(subject: Subject) -> Figure:
    """The overview.

    Raises:
        NothingToDrawError: no trial has come to a value.
    """
    if subject.shown.isna().all():
        raise NothingToDrawError("no trial has come to a value yet")
    figure = new_figure(2 * PANEL + 1.6, 9.0)
    parts: Any = figure.subfigures(2, 2)  # each with margins of its own
    progress, key, values, importance = (part.subplots() for part in parts.flat)
    window = window_of(subject)
    _progress(progress, subject, window)
    _key(key, subject, window)
    _values(values, subject, window)
    _importance(importance, subject)
    lines = []
    if subject.best is not None:
        lines.append(Line2D([], [], color=BEST, linewidth=2.5, label="best so far"))
    if subject.baseline is not None:
        lines.append(Line2D([], [], color=BASELINE, linestyle="--", label="value of the baseline"))
    notes = [f"{labels.kinds(subject)}.", labels.stopped(subject), window.note]
    notes += [_numberless(subject), _bars(subject)]
    frame(figure, labels.headline(subject), notes, legend(figure, *lines))
    return figure


def _progress(axes: Axes, subject: Subject, window: Window) -> None:
    numbers = subject.trials.index.to_numpy(dtype="float64")
    mark(axes, subject, numbers, subject.shown.to_numpy(), window)
    better = subject.improvements(subject.trials["value"].dropna())
    if len(better):
        so_far = window.clipped([*better, better.iloc[-1]])
        axes.step(
            [*better.index, numbers[-1]],
            so_far,
            where="post",
            color=BEST,
            linewidth=2.5,
            zorder=1.8,
        )
    failed = subject.of(Kind.FAILED)["reached"]
    nowhere = failed.index[failed.isna()]
    if len(nowhere):
        axes.scatter(
            nowhere, numpy.full(len(nowhere), 0.02), marker="x", color=COLOURS[Kind.FAILED], s=40,
            transform=axes.get_xaxis_transform(), label=Kind.FAILED.value, clip_on=False,
        )  # fmt: skip
    _baseline(axes, subject, window)
    window.dress(axes, "y")
    room = 0.5 + len(numbers) / 50
    axes.set_xlim(-room, numbers[-1] + room)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("trial")
    axes.set_ylabel(labels.label(subject.objective))
    title(axes, _when(subject), PANEL)


def _when(subject: Subject) -> str:
    if subject.best is None:
        return "No trial is complete yet"
    if subject.best == subject.baseline:
        return "No trial is better than the baseline"
    after = len(subject.trials) - subject.trials.index.get_loc(subject.best) - 1
    more = f"; {after:,} more found none better" if after > 1 else ""
    return f"Trial {subject.best} is the best{more}"


def _key(axes: Axes, subject: Subject, window: Window) -> None:
    if not subject.keys:
        say(axes, "No key was searched", "", PANEL)
        return
    key = subject.keys[0]
    axis = key_axis(subject, key)
    mark(axes, subject, strewn(subject, axis), subject.shown.to_numpy(), window)
    _baseline(axes, subject, window)
    window.dress(axes, "y")
    axis.dress(axes, "x")
    axes.set_ylabel(labels.label(subject.objective))
    title(axes, labels.best_at(subject, key), PANEL)


def _values(axes: Axes, subject: Subject, window: Window) -> None:
    columns = {Kind.COMPLETE: "value", Kind.STOPPED: "reached"}
    found = {kind: subject.of(kind)[name].dropna() for kind, name in columns.items()}
    drawn = {kind: values for kind, values in found.items() if len(values)}
    bins = BINS if sum(map(len, drawn.values())) >= A_BIN * BINS else FEW_BINS
    if drawn:
        axes.hist(
            [window.clipped(values) for values in drawn.values()], stacked=True,
            bins=list(window.place(numpy.linspace(0, 1, bins + 1))),
            color=[COLOURS[kind] for kind in drawn], edgecolor="white", linewidth=0.6,
        )  # fmt: skip
    for trial, colour, style in ((subject.baseline, BASELINE, "--"), (subject.best, BEST, "-")):
        if trial is not None:
            axes.axvline(subject.value(trial), color=colour, linestyle=style, linewidth=2)
    window.dress(axes, "x")
    axes.locator_params(axis="y", integer=True)
    axes.grid(False, axis="x")
    axes.set_xlabel(labels.label(subject.objective))
    axes.set_ylabel("trials")
    title(axes, _spread(subject), PANEL)


def _spread(subject: Subject) -> str:
    complete = subject.trials["value"].dropna()
    if len(complete) < 2:
        return "Where trials ended"
    if subject.baseline is None:
        side = "below" if subject.minimised else "above"
        return f"Half of the complete trials are {side} {number(complete.median())}"
    own = subject.value(subject.baseline)
    better = (complete < own if subject.minimised else complete > own).sum()
    others = counted(len(complete) - 1, "other complete trial")
    return f"{better:,} of {others} {'is' if better == 1 else 'are'} better than the baseline"


def _importance(axes: Axes, subject: Subject) -> None:
    if subject.told is None:
        why = next((one.why_not for one in subject.importances), "")
        say(axes, "Which keys mattered cannot be told yet", why, PANEL)
        return
    bars = subject.told.of[:MOST_BARS]
    at = numpy.arange(len(bars))
    shares = numpy.array([one.share for one in bars])
    low, high = (numpy.array([getattr(one, end) for one in bars]) for end in ("low", "high"))
    axes.barh(
        at, 100 * shares, xerr=100 * numpy.array([shares - low, high - shares]).clip(0),
        color=COLOURS[Kind.COMPLETE], height=0.62,
        error_kw={"ecolor": "black", "elinewidth": 1.5, "capsize": 4},
    )  # fmt: skip
    axes.set_yticks(at, [labels.plain(one.key) for one in bars])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, max(5.0, 105 * float(high.max())))
    axes.set_xlabel(f"importance by {subject.told.method} (%)")
    left = len(subject.told.of) - len(bars)
    rest = f" ({left} more not shown)" if left else ""
    told = f"{labels.plain(bars[0].key)} mattered most: {share(bars[0].share)}{rest}"
    title(axes, told, PANEL)


def _numberless(subject: Subject) -> str:
    many = int(subject.of(Kind.COMPLETE)["value"].isna().sum())
    return f"{counted(many, 'complete trial')} without a number that can be drawn." if many else ""


def _bars(subject: Subject) -> str:
    return "Importance: median of the bootstrap, 10th to 90th percentile." * bool(subject.told)


def _baseline(axes: Axes, subject: Subject, window: Window) -> None:
    if subject.baseline is not None:
        value = float(window.clipped(subject.value(subject.baseline)))
        axes.axhline(value, color=BASELINE, linestyle="--", linewidth=1.3, zorder=1.5)
