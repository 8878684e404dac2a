"""What does one objective cost in another? The front, what it dominates, and what is not allowed.

With one objective: what a good value costs in time, memory or parameters, where trials differ in
that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ugro.analysis.pictures import labels
from ugro.analysis.pictures.marks import best_and_baseline, legend, size
from ugro.analysis.pictures.style import COLOURS, SMALL, frame, new_figure, styled
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject, drawable
from ugro.analysis.pictures.window import Window, window
from ugro.formatting import counted, share

FRONT, DOMINATED = "not dominated", "dominated"
COSTS = ("train_seconds", "peak_memory_mb", "trainable_parameters")
DIFFERENT = 1.25  # times as much that the dearest of the complete trials costs
FEWEST = 5  # complete trials, of one objective
NEAR = 0.01  # of the best value, that a cheaper trial may be worse
LESS = 0.95  # of the best one's cost
MOST_PANELS, MOST_NUMBERED = 6, 12


@dataclass(frozen=True)
class Goal:
    """An objective or a cost.

    Attributes:
        values: of complete trials, by number; NaN where one cannot be drawn
        infeasible: of infeasible ones
    """

    name: str
    minimised: bool
    values: pandas.Series
    infeasible: pandas.Series


@styled
def draw(subject: Subject) -> Figure:
    """The Pareto front, a panel a pair of objectives; or of the objective and each cost.

    Raises:
        NothingToDrawError: fewer than two trials are complete, or of one objective all cost alike.
    """
    goals = [_objective(subject, at) for at in range(len(subject.tables.objectives))]
    several = len(goals) > 1
    pairs = list(combinations(goals, 2)) if several else _costs(subject, goals[0])
    if several and len(goals[0].values) < 2:
        raise NothingToDrawError("fewer than two trials are complete")
    fronts = [front(goals if several else pair) for pair in pairs[:MOST_PANELS]]
    rows = -(-len(fronts) // 3)
    columns = -(-len(fronts) // rows)
    figure = new_figure(max(11.0, 6.2 * columns), 5.2 * rows + 2.0)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, pair, best in zip(panels.flat, pairs, fronts, strict=False):
        _panel(axes, subject, pair, best, stairs=len(goals) < 3)
    for axes in panels.flat[len(fronts) :]:
        axes.remove()
    finding = _spans(goals, fronts[0]) if several else _cheaper(subject, pairs)
    first = f"Best: in the first objective, {goals[0].name}." * several
    notes = [_numbers(fronts), first, _beyond(subject, pairs, fronts)]
    frame(figure, finding, notes, [*_keys(figure), *legend(figure)])
    return figure


def _objective(subject: Subject, at: int) -> Goal:
    name, trials = subject.tables.objectives[at], subject.tables.trials
    return Goal(
        name,
        subject.tables.directions[at] == "minimize",
        drawable(trials.loc[subject.of(Kind.COMPLETE).index, name]),
        drawable(trials.loc[subject.of(Kind.INFEASIBLE).index, f"measured {name}"]),
    )


def _costs(subject: Subject, objective: Goal) -> list[tuple[Goal, Goal]]:
    """The costs in which trials differ, each with the objective."""
    if objective.values.count() < FEWEST:
        raise NothingToDrawError("one objective, and fewer than five trials are complete")
    found = []
    for name in COSTS:
        if name not in subject.tables.trials or name == objective.name:
            continue
        every = drawable(subject.tables.trials[name])
        values = every[objective.values.index]
        cost = Goal(name, True, values, every[objective.infeasible.index])
        differ = values.min() > 0 and values.max() >= DIFFERENT * values.min()
        if differ and front((cost, objective)).sum() > 1:
            found.append((cost, objective))
    if not found:
        raise NothingToDrawError("one objective, and the best trial costs no more than any other")
    return found


def front(goals: Sequence[Goal]) -> pandas.Series:
    """Which complete trials no other one beats in every goal: at least as good, in one better.

    Trials that cannot be drawn in some goal are no part of it.
    """
    signed = {at: goal.values if goal.minimised else -goal.values for at, goal in enumerate(goals)}
    values = pandas.DataFrame(signed)
    whole = values.dropna().sort_values(list(signed))  # who dominates comes before
    kept: list[int] = []
    points = whole.to_numpy()
    best = points[:0]
    for at, point in enumerate(points):
        beaten = (best <= point).all(axis=1) & (best < point).any(axis=1)
        if not beaten.any():
            kept.append(at)
            best = points[kept]
    return pandas.Series(values.index.isin(whole.index[kept]), index=values.index)


def _panel(
    axes: Axes, subject: Subject, pair: tuple[Goal, Goal], best: pandas.Series, stairs: bool
) -> None:
    windows = [_window(subject, goal, best) for goal in pair]
    placed = pandas.DataFrame(
        {at: windows[at].clipped(goal.values) for at, goal in enumerate(pair)}, index=best.index
    )
    area, blue = size(len(subject.trials)), COLOURS[Kind.COMPLETE]
    beaten = placed[~best & placed.notna().all(axis=1)]
    if len(beaten):
        axes.scatter(beaten[0], beaten[1], s=area, color=blue, alpha=0.3, label=DOMINATED)
    infeasible = [windows[at].clipped(goal.infeasible) for at, goal in enumerate(pair)]
    if numpy.isfinite(infeasible).all(axis=0).any():
        axes.scatter(
            infeasible[0], infeasible[1], s=area, marker="s", facecolors="none",
            label=Kind.INFEASIBLE.value, edgecolors=COLOURS[Kind.INFEASIBLE], linewidths=1.3,
            clip_on=False,
        )  # fmt: skip
    leading = placed[best].sort_values(0)
    if stairs:
        # The corners are where both goals are as bad as at one of the two trials.
        where: Literal["pre", "post"] = "post" if pair[0].minimised else "pre"
        axes.step(leading[0], leading[1], where=where, color=blue, linewidth=1.5, zorder=2)
    axes.scatter(
        leading[0], leading[1], s=1.8 * area, color=blue, edgecolors="black", linewidths=1.2,
        zorder=3, label=FRONT,
    )  # fmt: skip
    for trial, looks in best_and_baseline(subject):
        if trial in placed.index:
            axes.scatter(*placed.loc[trial], **looks)
    if len(leading) <= MOST_NUMBERED:
        for trial, place in leading.iterrows():
            axes.annotate(
                str(trial), tuple(place), xytext=(7, 7), textcoords="offset points", fontsize=SMALL
            )
    for side, goal, of_goal in zip(("x", "y"), pair, windows, strict=True):
        of_goal.dress(axes, "x" if side == "x" else "y")
        better = "lower" if goal.minimised else "higher"
        text = f"{labels.label(goal.name)}, {better} is better"
        (axes.set_xlabel if side == "x" else axes.set_ylabel)(text)


def _window(subject: Subject, goal: Goal, best: pandas.Series) -> Window:
    """All that leads is seen, and the baseline."""
    seen = best | (best.index == subject.baseline)
    return window([*goal.values, *goal.infeasible], goal.minimised, goal.values[seen])


def _keys(figure: Figure) -> list[Line2D]:
    """What is explained beside the marks of all pictures."""
    blue = COLOURS[Kind.COMPLETE]
    looks = {
        FRONT: {"markersize": 11, "markeredgecolor": "black"},
        DOMINATED: {"markersize": 8, "alpha": 0.35},
    }
    there = {text for axes in figure.axes for text in axes.get_legend_handles_labels()[1]}
    return [
        Line2D([], [], marker="o", linestyle="none", color=blue, label=text, **look)  # type: ignore[arg-type]
        for text, look in looks.items()
        if text in there
    ]


def _numbers(fronts: Sequence[pandas.Series]) -> str:
    numbered = any(best.sum() <= MOST_NUMBERED for best in fronts)
    return "Numbers are those of trials." if numbered else ""


def _beyond(
    subject: Subject, pairs: Sequence[tuple[Goal, Goal]], fronts: Sequence[pandas.Series]
) -> str:
    windows = (
        _window(subject, goal, best)
        for pair, best in zip(pairs, fronts, strict=False)
        for goal in pair
    )
    any_beyond = any(one.beyond for one in windows)
    return "What lies beyond an axis is drawn at its edge." if any_beyond else ""


def _spans(goals: Sequence[Goal], best: pandas.Series) -> str:
    """How many lead, and over what."""
    told = f"{best.sum():,} of {counted(len(best), 'complete trial')} are not dominated"
    if len(goals) > 2:
        return f"{told} in {len(goals)} objectives"
    ranges = []
    for goal in goals:
        low, high = (f"{float(find(goal.values[best])):.3g}" for find in (min, max))
        ranges.append(f"{labels.name(goal.name)} {low} to {high} {labels.unit(goal.name)}".strip())
    return f"{told}: {', '.join(ranges)}"


def _cheaper(subject: Subject, pairs: Sequence[tuple[Goal, Goal]]) -> str:
    """What is saved by a trial that is nearly as good as the best."""
    assert subject.best is not None
    best = subject.value(subject.best)
    near = (subject.trials["value"] - best).abs() <= NEAR * abs(best)
    taken = []
    for cost, _ in pairs:
        those = cost.values[near[near].index].dropna()
        own = float(cost.values[subject.best])
        if those.size and own > 0:
            cheapest = those.index[those == those.min()]
            trial = int((subject.trials["value"][cheapest] - best).abs().idxmin())
            taken.append((float(those.min()) / own, trial, labels.name(cost.name)))
    if not taken or min(taken)[0] > LESS:
        return "No trial within 1% of the best costs much less"
    least, trial, name = min(taken)
    return f"Trial {trial} is within 1% of the best with {share(least)} of its {name}"
