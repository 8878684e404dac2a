"""Which of several studies was better, and cheaper? Their best so far against what it cost."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from ugro.analysis.comparable import unit
from ugro.analysis.comparison.comparison import Comparison
from ugro.analysis.comparison.differing import of_another_task
from ugro.analysis.findings.anytime import Spent
from ugro.analysis.importance.importance import FANOVA
from ugro.analysis.pictures import labels, ticks
from ugro.analysis.pictures.style import FAINT, frame, new_figure, styled, title
from ugro.analysis.pictures.subject import NothingToDrawError
from ugro.analysis.pictures.window import Window, window
from ugro.formatting import duration, listed, number

# Okabe and Ito's, the pale yellow left out; then the same with another line.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
LINES = ("-", "--", ":")
PANEL, CURVES, ROW = 6.0, 5.6, 0.55  # inches wide; inches high, ROW of a key
LONGER = 5.0  # times the shortest study, from which on what was spent is shown by its logarithm
# Round times, in seconds.
TIMES = [1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 10_800.0, 36_000.0, 86_400.0,
         259_200.0, 864_000.0, 2_592_000.0]  # fmt: skip
WIDEST = 7.0  # points, of a line
MOST_KEYS = 8


@styled
def draw(found: Comparison) -> Figure:
    """Studies side by side.

    Raises:
        NothingToDrawError: in none of them a trial is complete.
    """
    if found.winner is None:
        raise NothingToDrawError("in none of the studies a trial is complete")
    keys = found.shared[:MOST_KEYS]
    heights = [CURVES, *([1.0 + ROW * len(keys)] if keys else [])]
    figure = new_figure(2 * PANEL + 1.0, sum(heights) + 1.0)
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    on_tokens = figure.add_subplot(grid[0, 0])
    on_clock = figure.add_subplot(grid[0, 1], sharey=on_tokens)
    seen = _window(found)
    for axes, attribute in ((on_tokens, "tokens"), (on_clock, "seconds")):
        _curves(axes, found, [getattr(side, attribute) for side in found.sides], seen)
    seen.dress(on_tokens, "y")
    on_tokens.set_ylabel(labels.label(found.objective))
    on_clock.tick_params(labelleft=False)
    _tokens_axis(on_tokens, found)
    _clock_axis(on_clock, found)
    if keys:
        _importances(figure.add_subplot(grid[1, :]), found, keys)
    frame(figure, _finding(found), _notes(found, seen), list(_legend(found)))
    return figure


def _better(found: Comparison, spent: Spent) -> pandas.Series:
    """The best so far, whenever it changed."""
    so_far = spent.values.cummin() if found.minimised else spent.values.cummax()
    return so_far[so_far.diff().fillna(1.0) != 0]


def _window(found: Comparison) -> Window:
    improvements = [_better(found, side.tokens) for side in found.sides]
    bests = [side.best.values[0] for side in found.sides if side.best is not None]
    return window([one for each in improvements for one in each], found.minimised, bests)


def _curves(axes: Axes, found: Comparison, spents: list[Spent], seen: Window) -> None:
    for at, spent in enumerate(spents):
        better = _better(found, spent)
        if not spent.total or better.empty:
            continue
        when = pandas.Series(spent.at, index=spent.values.index)[better.index]
        so_far = seen.clipped([*better, better.iloc[-1]])
        axes.step([*when, spent.total], so_far, where="post", zorder=3, **_looks(at, len(spents)))
        axes.scatter(when.iloc[-1], so_far[-1], marker="*", s=260, color=_looks(at)["color"],
                     edgecolors="black", linewidths=1.0, zorder=5)  # fmt: skip
        reached = None if found.target is None else spent.reached(found.target, found.minimised)
        if reached is not None and found.target is not None:
            axes.scatter(reached, found.target, marker="o", s=70, facecolors="white",
                         edgecolors=_looks(at)["color"], linewidths=2.2, zorder=4)  # fmt: skip
    if found.target is not None:
        axes.axhline(found.target, color=FAINT, linestyle=(0, (4, 4)), linewidth=1.2, zorder=1)
    _limits(axes, [spent for spent in spents if spent.total])


def _limits(axes: Axes, spents: Sequence[Spent]) -> None:
    """By logarithms where one study was so much shorter that nothing of it would be seen."""
    totals = [spent.total for spent in spents] or [1.0]
    firsts = [float(spent.at[0]) for spent in spents if len(spent.at) and spent.at[0] > 0]
    if max(totals) > LONGER * min(totals) and firsts:
        ticks.set_log(axes, "x")
        axes.set_xlim(0.8 * min(firsts), 1.1 * max(totals))
    else:
        axes.set_xlim(-0.02 * max(totals), 1.03 * max(totals))


def _looks(at: int, of: int = 1) -> dict[str, Any]:
    """Of a study's line; where lines lie on one another the lower ones are wider."""
    again, colour = divmod(at, len(COLOURS))
    wide = 2.3 + 1.4 * (of - 1 - at if of > at else 0)
    return {
        "color": COLOURS[colour],
        "linestyle": LINES[again % len(LINES)],
        "linewidth": min(wide, WIDEST),
    }


def _tokens_axis(axes: Axes, found: Comparison) -> None:
    counted = listed(list(dict.fromkeys(unit(side.tables) for side in found.sides)))
    if axes.get_xscale() == "log":
        marks = ticks.logarithmic(*axes.get_xlim())
        ticks.set_ticks(axes, "x", marks, [labels.amount(mark) for mark in marks])
        axes.set_xlabel(f"{counted}, of all trials together")
    else:
        ticks.resource(axes, "x", f"{counted}, of all trials together")
    title(axes, f"Best so far against {counted}", PANEL)


def _clock_axis(axes: Axes, found: Comparison) -> None:
    most = max(side.seconds.total for side in found.sides)
    if axes.get_xscale() == "log":
        low, high = axes.get_xlim()
        round_ones = [mark for mark in TIMES if low <= mark <= high]
        ticks.set_ticks(axes, "x", round_ones, [duration(mark) for mark in round_ones])
        axes.set_xlabel("time on the clock")
    else:
        size, called = labels.unit_of_time(most)
        marks = ticks.linear(0, most / size, most=7)
        axes.set_xticks([mark * size for mark in marks], [ticks.short(mark) for mark in marks])
        axes.set_xlabel(f"{called} on the clock")
    title(axes, "Best so far against time", PANEL)


def _importances(axes: Axes, found: Comparison, keys: Sequence[str]) -> None:
    """A row a key, a dot with its interval a study."""
    apart = min(0.22, 0.7 / len(found.sides))
    for at, side in enumerate(found.sides):
        for row, key in enumerate(keys):
            told = found.importance(side, key)
            assert told is not None
            up = row + (at - (len(found.sides) - 1) / 2) * apart
            axes.plot([told.low, told.high], [up, up], zorder=2, **{**_looks(at), "linestyle": "-"})
            axes.scatter(told.share, up, s=70, color=_looks(at)["color"], zorder=3, clip_on=False)
    axes.set_yticks(range(len(keys)), [labels.plain(key) for key in keys])
    axes.set_ylim(len(keys) - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    of = "objective's variance" if found.method == FANOVA else "importance"
    axes.set_xlabel(f"share of the {of}, and from its 10th to its 90th percentile")
    title(axes, f"What mattered, by {found.method}", 2 * PANEL)


def _legend(found: Comparison) -> Iterator[Line2D]:
    for at, side in enumerate(found.sides):
        yield Line2D([], [], label=labels.plain(side.name), **_looks(at))
    star: dict[str, Any] = {
        "marker": "*",
        "color": "white",
        "markeredgecolor": "black",
        "markersize": 15,
    }
    yield Line2D([], [], linestyle="none", label="its best", **star)
    if found.target is not None:
        ring: dict[str, Any] = {
            "marker": "o",
            "color": "white",
            "markeredgecolor": "black",
            "markersize": 9,
        }
        worst = f"as good as the worst of the bests, {number(found.target)}"
        yield Line2D([], [], linestyle="none", label=worst, **ring)


def _finding(found: Comparison) -> str:
    winner = found.winner
    assert winner is not None
    assert winner.best is not None
    value = f"{labels.name(found.objective)} {number(winner.best.values[0])}"
    others = [side for side in found.sides if side is not winner and side.best is not None]
    told = [f"{number(side.best.values[0])} of {side.name}" for side in others if side.best]
    return labels.plain(f"{winner.name} is best: {value}" + _against(told))


def _against(told: Sequence[str]) -> str:
    return f", against {listed(told)}" if told else ""


def _notes(found: Comparison, seen: Window) -> Iterator[str]:
    yield "Values as the searches found them; study.confirm tells what of a difference is luck."
    if keys := of_another_task(found.differing):
        yield f"Not of the same task: they differ in {listed(keys)}."
    yield seen.note
