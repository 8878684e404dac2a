"""Trade-offs: the Pareto front of several objectives, or of one objective and what it costs.

With one objective the costs are time, memory and parameters, where trials differ in them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas
from plotly import graph_objects as go

from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.markers import style, trace
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.points import Highlight, Points, highlights
from ugro.analysis.figures.drawing.theme import (
    BEST,
    COLOURS,
    INK,
    beyond,
    joined,
    mark,
    objective,
    value_axis,
)
from ugro.analysis.figures.drawing.window import Window, window
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView, plottable
from ugro.formatting import counted, share

FRONT, DOMINATED = "not dominated", "dominated"
COSTS = ("train_seconds", "peak_memory_mb", "trainable_parameters")
DIFFERENT = 1.25  # ratio of the highest to the lowest cost of complete trials
FEWEST = 5  # complete trials, with one objective
NEAR = 0.01  # of the best value: as good as the best
LESS = 0.95  # of the best trial's cost: worth mentioning
MOST_PANELS, MOST_NUMBERED = 6, 12


@dataclass(frozen=True)
class Goal:
    """An objective or a cost.

    Attributes:
        values: of complete trials, by number; NaN where an axis cannot show it
        infeasible: of infeasible trials
    """

    name: str
    minimised: bool
    values: pandas.Series
    infeasible: pandas.Series


@dataclass(frozen=True)
class Pair:
    """Two goals against each other.

    Attributes:
        names, minimised, windows: of the goal across and the one up
        points: bottom first; labels tell dominated trials from the front
        stairs: the front, sorted by the goal across; empty with three objectives or more
    """

    names: tuple[str, str]
    minimised: tuple[bool, bool]
    windows: tuple[Window, Window]
    points: tuple[Points, ...]
    stairs: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TradeOffs:
    """What the figure shows."""

    finding: str
    pairs: tuple[Pair, ...]


def prepare(view: StudyView) -> TradeOffs:
    """Collect the data: each pair of objectives, or the objective with each cost.

    Raises:
        NoDataError: too few trials are complete, or with one objective all cost the same.
    """
    goals = [_objective(view, at) for at in range(len(view.tables.objectives))]
    several = len(goals) > 1
    if several and len(goals[0].values) < 2:
        raise NoDataError("fewer than two trials are complete")
    pairs = list(combinations(goals, 2)) if several else _costs(view, goals[0])
    fronts = [front(goals if several else pair) for pair in pairs[:MOST_PANELS]]
    return TradeOffs(
        finding=_ranges(goals, fronts[0]) if several else _cheaper(view, pairs),
        pairs=tuple(
            _pair(view, pair, best, stairs=len(goals) < 3)
            for pair, best in zip(pairs, fronts, strict=False)
        ),
    )


def _objective(view: StudyView, at: int) -> Goal:
    name, trials = view.tables.objectives[at], view.tables.trials
    return Goal(
        name,
        view.tables.directions[at] == "minimize",
        plottable(trials.loc[view.of(Kind.COMPLETE).index, name]),
        plottable(trials.loc[view.of(Kind.INFEASIBLE).index, f"measured {name}"]),
    )


def _costs(view: StudyView, objective: Goal) -> list[tuple[Goal, Goal]]:
    """Pair the objective with the costs in which trials differ."""
    if objective.values.count() < FEWEST:
        raise NoDataError("one objective, and fewer than five trials are complete")
    found = []
    for name in COSTS:
        if name not in view.tables.trials or name == objective.name:
            continue
        every = plottable(view.tables.trials[name])
        values = every[objective.values.index]
        cost = Goal(name, True, values, every[objective.infeasible.index])
        differ = values.min() > 0 and values.max() >= DIFFERENT * values.min()
        if differ and front((cost, objective)).sum() > 1:
            found.append((cost, objective))
    if not found:
        raise NoDataError("one objective, and no trial costs less than the best")
    return found


def front(goals: Sequence[Goal]) -> pandas.Series:
    """Whether each complete trial is on the Pareto front; never one with a missing value."""
    signed = {at: goal.values if goal.minimised else -goal.values for at, goal in enumerate(goals)}
    values = pandas.DataFrame(signed)
    known = values.dropna().sort_values(list(signed))  # dominating trials come first
    kept: list[int] = []
    points = known.to_numpy()
    best = points[:0]
    for at, point in enumerate(points):
        beaten = (best <= point).all(axis=1) & (best < point).any(axis=1)
        if not beaten.any():
            kept.append(at)
            best = points[kept]
    return pandas.Series(values.index.isin(known.index[kept]), index=values.index)


def _pair(view: StudyView, pair: tuple[Goal, Goal], best: pandas.Series, stairs: bool) -> Pair:
    across, up = pair
    values = pandas.DataFrame({"x": across.values, "y": up.values}).dropna()
    infeasible = pandas.DataFrame({"x": across.infeasible, "y": up.infeasible}).dropna()
    leading = values[best[values.index]].sort_values(["x", "y"])
    groups = [
        _points(Kind.COMPLETE, DOMINATED, values[~best[values.index]]),
        _points(Kind.INFEASIBLE, Kind.INFEASIBLE.value, infeasible),
        _points(Kind.COMPLETE, FRONT, leading),
        *_highlights(view, values),
    ]
    corners = tuple((float(x), float(y)) for x, y in leading.to_numpy()) if stairs else ()
    return Pair(
        (across.name, up.name),
        (across.minimised, up.minimised),
        (_window(view, across, best), _window(view, up, best)),
        tuple(group for group in groups if group.numbers),
        corners,
    )


def _points(marked: Kind | Highlight, label: str, values: pandas.DataFrame) -> Points:
    return Points(
        marked,
        label,
        tuple(int(one) for one in values.index),
        tuple(float(one) for one in values["x"]),
        tuple(float(one) for one in values["y"]),
    )


def _highlights(view: StudyView, values: pandas.DataFrame) -> Iterator[Points]:
    several = len(view.tables.objectives) > 1
    for marked, label, number in highlights(view):
        if number in values.index:
            best = f"best {view.objective}" if several else label
            named = best if marked is Highlight.BEST else label
            yield _points(marked, named, values.loc[[number]])


def _window(view: StudyView, goal: Goal, best: pandas.Series) -> Window:
    """Show the front and the baseline in full."""
    keep = best | (best.index == view.baseline)
    return window([*goal.values, *goal.infeasible], goal.minimised, goal.values[keep])


def _ranges(goals: Sequence[Goal], best: pandas.Series) -> str:
    """State how many trials are on the front, and the ranges that it spans."""
    text = f"{best.sum():,} of {counted(len(best), 'complete trial')} are not dominated"
    if len(goals) > 2:
        return f"{text} in {len(goals)} objectives"
    ranges = []
    for goal in goals:
        low, high = (f"{float(find(goal.values[best])):.3g}" for find in (min, max))
        ranges.append(f"{labels.name(goal.name)} {low} to {high} {labels.unit(goal.name)}".strip())
    return f"{text}: {', '.join(ranges)}"


def _cheaper(view: StudyView, pairs: Sequence[tuple[Goal, Goal]]) -> str:
    """State what a trial nearly as good as the best saves."""
    assert view.best is not None
    best = view.value(view.best)
    near = (view.trials["value"] - best).abs() <= NEAR * abs(best)
    candidates = []
    for cost, _ in pairs:
        known = cost.values[near[near].index].dropna()
        own = float(cost.values[view.best])
        if known.size and own > 0:
            cheapest = known.index[known == known.min()]
            trial = int((view.trials["value"][cheapest] - best).abs().idxmin())
            candidates.append((float(known.min()) / own, trial, labels.name(cost.name)))
    if not candidates or min(candidates)[0] > LESS:
        return "No trial within 1% of the best costs much less"
    least, trial, name = min(candidates)
    return f"Trial {trial} is within 1% of the best with {share(least)} of its {name}"


def draw(data: TradeOffs) -> list[Panel]:
    """Draw a panel per pair."""
    return [_panel(pair) for pair in data.pairs]


def _panel(pair: Pair) -> Panel:
    figure = go.Figure()
    if pair.stairs:
        # The corners are where both goals are as bad as at one of the two trials.
        across, up = zip(*pair.stairs, strict=True)
        shape = "hv" if pair.minimised[0] else "vh"
        figure.add_scatter(
            x=across, y=up, mode="lines", hoverinfo="skip", name="front",
            line={"color": BEST, "width": 2, "shape": shape},
        )  # fmt: skip
    for group in pair.points:
        drawn = trace(group, _looks(group, sum(len(one.numbers) for one in pair.points)))
        if group.label == FRONT and len(group.numbers) <= MOST_NUMBERED:
            drawn.update(
                mode="markers+text", text=group.numbers, textposition="top right", cliponaxis=False
            )
        figure.add_trace(drawn)
    titles = [
        f"{objective(name)}, {'lower' if minimised else 'higher'} is better"
        for name, minimised in zip(pair.names, pair.minimised, strict=True)
    ]
    figure.update_layout(
        xaxis=value_axis(pair.windows[0], titles[0]), yaxis=value_axis(pair.windows[1], titles[1])
    )
    numbered = any(t.text is not None for t in figure.data)
    notes = dict.fromkeys(map(beyond, pair.windows))
    return Panel(figure, joined("Numbers are those of trials." * numbered, *notes))


def _looks(group: Points, many: int) -> dict[str, Any]:
    if group.label == FRONT:
        edge = {"color": INK, "width": 1.2}
        return {"symbol": "circle", "size": 11, "color": COLOURS[Kind.COMPLETE], "line": edge}
    if group.label == DOMINATED:
        return {**mark(Kind.COMPLETE, many), "opacity": 0.45}
    return style(group.mark, many)
