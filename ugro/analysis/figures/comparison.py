"""The comparison of studies: their best value so far against its cost, and their importances."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas
from plotly import graph_objects as go

from ugro.analysis.comparable import unit
from ugro.analysis.comparison.comparison import Comparison, Side
from ugro.analysis.comparison.differing import of_another_task
from ugro.analysis.figures.drawing import labels, ticks
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.theme import (
    FAINT,
    INK,
    beyond,
    escaped,
    joined,
    objective,
    value_axis,
)
from ugro.analysis.figures.drawing.window import Window, window
from ugro.analysis.figures.study_view import NoDataError
from ugro.analysis.findings.anytime import Spent, improvements
from ugro.analysis.importance.importance import FANOVA, Importance
from ugro.formatting import duration, listed, number

# Okabe and Ito's without the pale yellow; more studies repeat them with another dash.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
DASHES = ("solid", "dash", "dot")
LONGER = 5.0  # ratio of the longest study to the shortest, above which costs are logarithmic
# Round times, in seconds.
TIMES = [1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 10_800.0, 36_000.0, 86_400.0,
         259_200.0, 864_000.0, 2_592_000.0]  # fmt: skip
MOST_KEYS = 8
WIDEST = 7.0  # pixels, of a line
HEIGHT, ROW, FRAME = 460, 40, 120  # pixels: the curves, per key, around the keys


@dataclass(frozen=True)
class BestSoFar:
    """A study's best value against its cost.

    Attributes:
        corners: of the staircase, [cost, value]; the last one is at the total
        best: cost and value of the best
        reached: the cost at which the target was reached; None where it was not, or is unknown
    """

    study: str
    corners: tuple[tuple[float, float], ...]
    best: tuple[float, float]
    reached: float | None


@dataclass(frozen=True)
class CostAxis:
    """All studies against one kind of cost.

    Attributes:
        text: the title of the axis
        places, texts: ticks of a logarithmic axis
    """

    title: str
    text: str
    log: bool
    places: tuple[float, ...]
    texts: tuple[str, ...]
    curves: tuple[BestSoFar, ...]


@dataclass(frozen=True)
class ComparedStudies:
    """What the figure shows.

    Attributes:
        target: the worst of the best values, which all studies reached; None without
        importances: of the shared keys, by study; the most important key first
    """

    finding: str
    objective: str
    window: Window
    studies: tuple[str, ...]
    target: float | None
    axes: tuple[CostAxis, ...]
    method: str
    keys: tuple[str, ...]
    importances: tuple[tuple[Importance, ...], ...]


def prepare(found: Comparison) -> ComparedStudies:
    """Collect the data.

    Raises:
        NoDataError: no study has a complete trial, or neither costs nor importances are known.
    """
    if found.winner is None:
        raise NoDataError("no study has a complete trial")
    keys = found.shared[:MOST_KEYS]
    better = [
        value for side in found.sides for value in improvements(side.tokens.values, found.minimised)
    ]
    bests = [side.best.values[0] for side in found.sides if side.best is not None]
    counted = listed(list(dict.fromkeys(unit(side.tables) for side in found.sides)))
    axes = (
        _token_axis(found, counted, [side.tokens for side in found.sides]),
        _time_axis(found, [side.seconds for side in found.sides]),
    )
    known = tuple(axis for axis in axes if axis.curves)
    if not known and not keys:
        raise NoDataError("neither tokens nor times of the studies are known")
    return ComparedStudies(
        finding=finding(found),
        objective=found.objective,
        window=window(better, found.minimised, bests),
        studies=tuple(side.name for side in found.sides),
        target=found.target,
        axes=known,
        method=found.method,
        keys=keys,
        importances=tuple(_importances(found, side, keys) for side in found.sides) if keys else (),
    )


def _curves(found: Comparison, spents: Sequence[Spent], size: float) -> tuple[BestSoFar, ...]:
    curves = []
    for side, spent in zip(found.sides, spents, strict=True):
        better = improvements(spent.values, found.minimised)
        if not spent.total or better.empty:
            continue
        at = pandas.Series(spent.at, index=spent.values.index)[better.index] / size
        corners = tuple((float(x), float(y)) for x, y in zip(at, better, strict=True))
        reached = None if found.target is None else spent.reached(found.target, found.minimised)
        curves.append(
            BestSoFar(
                side.name,
                (*corners, (spent.total / size, corners[-1][1])),
                corners[-1],
                None if reached is None else reached / size,
            )
        )
    return tuple(curves)


def _logarithmic(spents: Sequence[Spent]) -> bool:
    """Whether a study is so much shorter that a linear axis would hide it."""
    totals = [spent.total for spent in spents if spent.total]
    timed = any(len(spent.at) and spent.at[0] > 0 for spent in spents if spent.total)
    return bool(totals) and timed and max(totals) > LONGER * min(totals)


def _token_axis(found: Comparison, counted: str, spents: Sequence[Spent]) -> CostAxis:
    log, curves = _logarithmic(spents), _curves(found, spents, 1.0)
    marks = _log_marks(curves, ticks.logarithmic) if log else ()
    texts = tuple(map(labels.amount, marks))
    title = f"Best so far against {counted}"
    return CostAxis(title, f"{counted}, of all trials", log, marks, texts, curves)


def _time_axis(found: Comparison, spents: Sequence[Spent]) -> CostAxis:
    title = "Best so far against time"
    if _logarithmic(spents):
        curves = _curves(found, spents, 1.0)
        marks = _log_marks(curves, lambda low, high: [one for one in TIMES if low <= one <= high])
        texts = tuple(map(duration, marks))
        return CostAxis(title, "time on the clock", True, marks, texts, curves)
    size, called = labels.unit_of_time(max(spent.total for spent in spents))
    return CostAxis(
        title, f"{called} on the clock", False, (), (), _curves(found, spents, size)
    )  # fmt: skip


def _log_marks(curves: Sequence[BestSoFar], choose: Any) -> tuple[float, ...]:
    firsts = [curve.corners[0][0] for curve in curves if curve.corners[0][0] > 0]
    return tuple(choose(min(firsts), max(curve.corners[-1][0] for curve in curves)))


def _importances(found: Comparison, side: Side, keys: Sequence[str]) -> tuple[Importance, ...]:
    known = (found.importance(side, key) for key in keys)
    return tuple(one for one in known if one is not None)


def finding(found: Comparison) -> str:
    """State which study is best; empty where none has a complete trial."""
    winner = found.winner
    if winner is None or winner.best is None:
        return ""
    value = f"{labels.name(found.objective)} {number(winner.best.values[0])}"
    others = [side for side in found.sides if side is not winner and side.best is not None]
    against = [f"{number(side.best.values[0])} of {side.name}" for side in others if side.best]
    text = f"{winner.name} is best: {value}" + (f", against {listed(against)}" if against else "")
    return labels.printable(text)


def note(found: Comparison) -> str:
    """State what limits the comparison."""
    keys = of_another_task(found.differing)
    return joined(
        "Values are those of the searches; study.confirm tells luck from a difference.",
        f"The studies are not of the same task: they differ in {listed(keys)}." if keys else "",
    )


def draw(data: ComparedStudies) -> list[Panel]:
    """Draw a panel per kind of cost, and the importances."""
    panels = [_curves_panel(data, axis) for axis in data.axes]
    return [*panels, _importance_panel(data)] if data.keys else panels


def _looks(data: ComparedStudies, study: str) -> dict[str, Any]:
    at = data.studies.index(study)
    again, colour = divmod(at, len(COLOURS))
    # Lines may coincide: the lower ones are wider.
    width = min(2.5 + 1.2 * (len(data.studies) - 1 - at), WIDEST)
    return {"color": COLOURS[colour], "dash": DASHES[again % len(DASHES)], "width": width}


def _curves_panel(data: ComparedStudies, axis: CostAxis) -> Panel:
    figure = go.Figure()
    for curve in axis.curves:
        looks = _looks(data, curve.study)
        across, up = zip(*curve.corners, strict=True)
        figure.add_scatter(
            x=across, y=up, mode="lines", name=escaped(curve.study), legendgroup=curve.study,
            line={**looks, "shape": "hv"}, hovertemplate="%{y:.4~g}",
        )  # fmt: skip
        star = {"symbol": "star", "size": 16, "color": looks["color"],
                "line": {"color": INK, "width": 1}}  # fmt: skip
        figure.add_scatter(
            x=[curve.best[0]], y=[curve.best[1]], mode="markers", marker=star, showlegend=False,
            legendgroup=curve.study, name="its best", hovertemplate="%{y:.4~g}",
        )  # fmt: skip
        if curve.reached is not None and data.target is not None:
            ring = {"symbol": "circle-open", "size": 10, "color": looks["color"],
                    "line": {"width": 2.5}}  # fmt: skip
            figure.add_scatter(
                x=[curve.reached], y=[data.target], mode="markers", marker=ring, hoverinfo="skip",
                showlegend=False, legendgroup=curve.study,
            )  # fmt: skip
    if data.target is not None:
        # plotly takes the logarithm of a shape's place itself
        figure.add_hline(data.target, line={"color": FAINT, "width": 1.2, "dash": "dash"})
    across_axis: dict[str, Any] = {"title": {"text": axis.text}}
    if axis.log:
        across_axis |= {"type": "log", "tickvals": axis.places, "ticktext": axis.texts}
    figure.update_layout(
        height=HEIGHT,
        showlegend=True,
        xaxis=across_axis if axis.log else {**across_axis, "rangemode": "tozero"},
        yaxis=value_axis(data.window, objective(data.objective)),
    )
    star_note = "Star: a study's best."
    target = f"Ring: as good as the worst of the bests, {number(data.target)}."
    texts = joined(star_note, target if data.target is not None else "", beyond(data.window))
    return Panel(figure, texts, title=axis.title)


def _importance_panel(data: ComparedStudies) -> Panel:
    figure = go.Figure()
    rows = list(reversed(data.keys))
    apart = min(0.22, 0.7 / len(data.studies))
    for at, (study, of) in enumerate(zip(data.studies, data.importances, strict=True)):
        offset = ((len(data.studies) - 1) / 2 - at) * apart
        figure.add_scatter(
            x=[one.share for one in of], y=[rows.index(one.key) + offset for one in of],
            error_x={
                "type": "data", "symmetric": False, "thickness": 2.5, "width": 0,
                "array": [one.high - one.share for one in of],
                "arrayminus": [one.share - one.low for one in of],
            },
            mode="markers", name=escaped(study), marker={"size": 10, **_colour(data, study)},
            hovertemplate="%{x:.1%}",
        )  # fmt: skip
    what = "objective's variance" if data.method == FANOVA else "importance"
    figure.update_layout(
        height=FRAME + ROW * len(rows),
        showlegend=True,
        xaxis={"title": {"text": f"share of the {what}"}, "tickformat": ".0%",
               "rangemode": "tozero"},
        yaxis={"tickvals": list(range(len(rows))), "ticktext": [escaped(key) for key in rows],
               "range": [-0.6, len(rows) - 0.4]},
    )  # fmt: skip
    texts = "Dot: median of the bootstrap; line: its 10th to 90th percentile."
    return Panel(figure, texts, title=f"Importance by {data.method}")


def _colour(data: ComparedStudies, study: str) -> dict[str, Any]:
    return {"color": _looks(data, study)["color"]}
