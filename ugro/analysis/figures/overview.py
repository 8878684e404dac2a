"""The overview: progression, most important key, distribution and importance on one page.

It is drawn with matplotlib, so that ``overview.png`` needs no browser; the data are those of the
other figures.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ugro.analysis.figures import importance, progression, slices
from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.overview_style import (
    draw_points,
    frame,
    legend,
    limit_to_key,
    limit_to_window,
    new_figure,
    plain,
    save,
    styled,
    title,
    write_reason,
)
from ugro.analysis.figures.drawing.theme import BASELINE, BEST, COLOURS
from ugro.analysis.figures.importance import KeyImportance
from ugro.analysis.figures.progression import Progression
from ugro.analysis.figures.slices import Slice
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView
from ugro.formatting import counted, number, share

PANEL = 6.2  # inches wide
MOST_BARS = 8
BINS, FEW_BINS, PER_BIN = 25, 13, 5  # bars of the distribution; trials per bar for all of them


@dataclass(frozen=True)
class Distribution:
    """Where trials ended.

    Attributes:
        values: of complete trials, and last values of stopped ones
        best, baseline: their values; None without
    """

    finding: str
    values: dict[Kind, tuple[float, ...]]
    best: float | None
    baseline: float | None


@dataclass(frozen=True)
class Overview:
    """What the overview shows.

    Attributes:
        key: of the most important key; None where none was searched
        importance: None where the data do not support it
        why_not: then the reason
        notes: sentences for the foot
    """

    progression: Progression
    latest_improvement: str
    key: Slice | None
    best_at: str
    distribution: Distribution
    importance: KeyImportance | None
    why_not: str
    notes: tuple[str, ...]


def prepare(view: StudyView) -> Overview:
    """Collect the data.

    Raises:
        NoDataError: no trial has a value.
    """
    progress = progression.prepare(view)
    try:
        mattered = importance.prepare(view)
    except NoDataError:
        mattered = None
    beyond = progress.window.beyond
    unplottable = int(view.of(Kind.COMPLETE)["value"].isna().sum())
    notes = (
        f"{labels.kinds(view)}.",
        progress.note,
        f"{counted(beyond, 'worse value')} beyond the axis, drawn at its edge." if beyond else "",
        f"{counted(unplottable, 'complete trial')} without a finite value." if unplottable else "",
        "Importance: median of the bootstrap, 10th to 90th percentile." if mattered else "",
    )
    return Overview(
        progression=progress,
        latest_improvement=_latest_improvement(view),
        key=slices.slice_of(view, view.keys[0]) if view.keys else None,
        best_at=labels.best_at(view, *view.keys[:1]),
        distribution=_distribution(view),
        importance=mattered,
        why_not=next((one.why_not for one in view.importances), ""),
        notes=tuple(filter(None, notes)),
    )


def _latest_improvement(view: StudyView) -> str:
    if view.best is None:
        return "No trial is complete yet"
    if view.best == view.baseline:
        return "No trial is better than the baseline"
    after = len(view.trials) - view.trials.index.get_loc(view.best) - 1
    more = f"; {after:,} more found none better" if after > 1 else ""
    return f"Trial {view.best} is the best{more}"


def _distribution(view: StudyView) -> Distribution:
    columns = {Kind.COMPLETE: "value", Kind.STOPPED: "reached"}
    values = {kind: tuple(view.of(kind)[name].dropna()) for kind, name in columns.items()}
    return Distribution(
        finding=_spread(view),
        values={kind: of for kind, of in values.items() if of},
        best=None if view.best is None else view.value(view.best),
        baseline=None if view.baseline is None else view.value(view.baseline),
    )


def _spread(view: StudyView) -> str:
    complete = view.trials["value"].dropna()
    if len(complete) < 2:
        return "Where trials ended"
    if view.baseline is None:
        side = "below" if view.minimised else "above"
        return f"Half of the complete trials are {side} {number(complete.median())}"
    own = view.value(view.baseline)
    better = (complete < own if view.minimised else complete > own).sum()
    others = counted(len(complete) - 1, "other complete trial")
    return f"{better:,} of {others} {'is' if better == 1 else 'are'} better than the baseline"


def write_overview(view: StudyView, path: Path) -> None:
    """Write ``overview.png``.

    Raises:
        NoDataError: no trial has a value; an earlier file is removed.
    """
    try:
        data = prepare(view)
    except NoDataError:
        path.unlink(missing_ok=True)
        raise
    path.parent.mkdir(parents=True, exist_ok=True)
    save(draw(data), path)


@styled
def draw(data: Overview) -> Figure:
    """Draw the four panels."""
    figure = new_figure(2 * PANEL + 1.6, 9.0)
    parts: Any = figure.subfigures(2, 2)  # each with its own margins
    progress, key, values, mattered = (part.subplots() for part in parts.flat)
    _progression(progress, data)
    _key(key, data)
    _values(values, data)
    _importance(mattered, data)
    lines = []
    if data.progression.best_so_far:
        lines.append(Line2D([], [], color=BEST, linewidth=2.5, label="best so far"))
    if data.progression.baseline is not None:
        lines.append(Line2D([], [], color=BASELINE, linestyle="--", label="value of the baseline"))
    frame(figure, data.progression.finding, data.notes, legend(figure, *lines))
    return figure


def _progression(axes: Axes, data: Overview) -> None:
    shown = data.progression
    draw_points(axes, shown.points, shown.window)
    if shown.best_so_far:
        across, up = zip(*shown.best_so_far, strict=True)
        axes.step(
            across, shown.window.clipped(up), where="post", color=BEST, linewidth=2.5, zorder=1.8
        )
    if shown.failed:
        axes.scatter(
            shown.failed, numpy.full(len(shown.failed), 0.02), marker="x", s=40,
            color=COLOURS[Kind.FAILED], transform=axes.get_xaxis_transform(),
            label=Kind.FAILED.value, clip_on=False,
        )  # fmt: skip
    _baseline(axes, data)
    limit_to_window(axes, "y", shown.window)
    room = 0.5 + shown.trials / 50
    axes.set_xlim(-room, shown.last + room)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("trial")
    axes.set_ylabel(plain(labels.label(shown.objective)))
    title(axes, data.latest_improvement, PANEL)


def _key(axes: Axes, data: Overview) -> None:
    if data.key is None:
        write_reason(axes, "No key was searched", "", PANEL)
        return
    draw_points(axes, data.key.points, data.progression.window)
    _baseline(axes, data)
    limit_to_window(axes, "y", data.progression.window)
    limit_to_key(axes, data.key.axis)
    axes.set_ylabel(plain(labels.label(data.progression.objective)))
    title(axes, data.best_at, PANEL)


def _values(axes: Axes, data: Overview) -> None:
    shown, window = data.distribution, data.progression.window
    bins = BINS if sum(map(len, shown.values.values())) >= PER_BIN * BINS else FEW_BINS
    if shown.values:
        axes.hist(
            [window.clipped(values) for values in shown.values.values()], stacked=True,
            bins=list(window.place(numpy.linspace(0, 1, bins + 1))),
            color=[COLOURS[kind] for kind in shown.values], edgecolor="white", linewidth=0.6,
        )  # fmt: skip
    for value, colour, style in ((shown.baseline, BASELINE, "--"), (shown.best, BEST, "-")):
        if value is not None:
            axes.axvline(value, color=colour, linestyle=style, linewidth=2)
    limit_to_window(axes, "x", window)
    axes.locator_params(axis="y", integer=True)
    axes.grid(False, axis="x")
    axes.set_xlabel(plain(labels.label(data.progression.objective)))
    axes.set_ylabel("trials")
    title(axes, shown.finding, PANEL)


def _importance(axes: Axes, data: Overview) -> None:
    if data.importance is None:
        write_reason(axes, "The data do not tell which keys mattered", data.why_not, PANEL)
        return
    method, every = data.importance.methods[0]
    bars = every[:MOST_BARS]
    at = numpy.arange(len(bars))
    shares = numpy.array([one.share for one in bars])
    low, high = (numpy.array([getattr(one, end) for one in bars]) for end in ("low", "high"))
    axes.barh(
        at, 100 * shares, xerr=100 * numpy.array([shares - low, high - shares]).clip(0),
        color=COLOURS[Kind.COMPLETE], height=0.62,
        error_kw={"ecolor": "black", "elinewidth": 1.5, "capsize": 4},
    )  # fmt: skip
    axes.set_yticks(at, [plain(one.key) for one in bars])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, max(5.0, 105 * float(high.max())))
    axes.set_xlabel(f"importance by {method} (%)")
    left = len(every) - len(bars)
    rest = f" ({left} more not shown)" if left else ""
    title(axes, f"{bars[0].key} mattered most: {share(bars[0].share)}{rest}", PANEL)


def _baseline(axes: Axes, data: Overview) -> None:
    if data.progression.baseline is not None:
        value = float(data.progression.window.clipped(data.progression.baseline))
        axes.axhline(value, color=BASELINE, linestyle="--", linewidth=1.3, zorder=1.5)
