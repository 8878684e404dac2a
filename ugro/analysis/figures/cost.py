"""The cost: the best value so far against tokens and time in slots of all trials."""

from dataclasses import dataclass

from plotly import graph_objects as go

from ugro.analysis.comparable import unit
from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.theme import BASELINE, BEST, mark, objective, star, value_axis
from ugro.analysis.figures.drawing.window import Window, window_of
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView
from ugro.analysis.findings.anytime import Spent, by_end, slot_seconds, tokens
from ugro.analysis.findings.cost import cost_of
from ugro.formatting import duration, large, share

HEIGHT = 360  # pixels


@dataclass(frozen=True)
class CostCurve:
    """The best value against one kind of cost.

    Attributes:
        axis: the title of the cost axis
        title: the total
        spent: [complete trials], the cost of all trials when each one ended
        values: their values
        numbers: of these trials
        best_so_far: corners of the staircase, [cost, value]; the last one is at the total
    """

    axis: str
    title: str
    total: float
    spent: tuple[float, ...]
    values: tuple[float, ...]
    numbers: tuple[int, ...]
    best_so_far: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Cost:
    """What the figure shows.

    Attributes:
        best: the number of the best trial; None where its end is unknown
        baseline: its value; None without one
    """

    finding: str
    objective: str
    window: Window
    curves: tuple[CostCurve, ...]
    best: int | None
    baseline: float | None


def prepare(view: StudyView) -> Cost:
    """Collect the data.

    Raises:
        NoDataError: no trial is complete, or neither tokens nor times are known.
    """
    if view.best is None:
        raise NoDataError("no trial is complete yet")
    values = by_end(view.tables, view.trials["value"].dropna())
    if values.empty:
        raise NoDataError("it is not known when trials were complete")
    in_tokens, in_slots = tokens(view.tables, values), slot_seconds(view.tables, values)
    curves = []
    if in_tokens.total > 0:
        counted_in = unit(view.tables)
        axis = f"{counted_in}, all trials"
        curves.append(_curve(view, in_tokens, 1.0, axis, _tokens_title(view, in_tokens)))
    if in_slots.total > 0:
        size, name = labels.unit_of_time(in_slots.total)
        title = f"{duration(in_slots.total)} in slots"
        curves.append(_curve(view, in_slots, size, f"{name} in slots, all trials", title))
    if not curves:
        raise NoDataError("neither tokens nor times of its trials are known")
    return Cost(
        finding=_finding(view, curves[0]),
        objective=view.objective,
        window=window_of(view, reached=False),
        curves=tuple(curves),
        best=view.best if view.best in values.index else None,
        baseline=None if view.baseline is None else view.value(view.baseline),
    )


def _curve(view: StudyView, spent: Spent, size: float, axis: str, title: str) -> CostCurve:
    better = view.improvements(spent.values)
    at = dict(zip(spent.values.index, spent.at / size, strict=True))
    corners = [(float(at[number]), float(value)) for number, value in better.items()]
    total = spent.total / size
    return CostCurve(
        axis=axis,
        title=title,
        total=total,
        spent=tuple(float(one) for one in at.values()),
        values=tuple(float(one) for one in spent.values),
        numbers=tuple(int(one) for one in at),
        best_so_far=(*corners, (total, corners[-1][1])),
    )


def _tokens_title(view: StudyView, spent: Spent) -> str:
    title = f"{large(spent.total)} {unit(view.tables)}"
    saved = cost_of(view.tables, 0).saved
    if len(view.of(Kind.STOPPED)) and saved and saved > 0:
        return f"{title}; early stopping saved {share(saved)}"
    return title


def _finding(view: StudyView, curve: CostCurve) -> str:
    if view.best not in curve.numbers:
        return labels.headline(view)
    at = curve.spent[curve.numbers.index(view.best)] / curve.total
    return f"The best, {labels.value(view, view.best)}, came after {share(at)} of the cost"


def draw(data: Cost) -> list[Panel]:
    """Draw a panel per kind of cost."""
    return [_panel(data, curve) for curve in data.curves]


def _panel(data: Cost, curve: CostCurve) -> Panel:
    figure = go.Figure()
    if data.baseline is not None:
        figure.add_scatter(
            x=[0, curve.total], y=[data.baseline] * 2, mode="lines", name="baseline",
            hoverinfo="skip", line={"color": BASELINE, "width": 2, "dash": "dash"},
        )  # fmt: skip
    across, up = zip(*curve.best_so_far, strict=True)
    figure.add_scatter(
        x=across, y=up, mode="lines", name="best so far", hoverinfo="skip",
        line={"color": BEST, "width": 3, "shape": "hv"},
    )  # fmt: skip
    figure.add_scatter(
        x=curve.spent, y=curve.values, mode="markers", name=Kind.COMPLETE.value,
        marker=mark(Kind.COMPLETE, len(curve.numbers)), customdata=curve.numbers,
    )  # fmt: skip
    if data.best is not None:
        at = curve.numbers.index(data.best)
        figure.add_scatter(
            x=[curve.spent[at]], y=[curve.values[at]], mode="markers", name="best", marker=star(),
            customdata=[data.best],
        )  # fmt: skip
    figure.update_layout(
        height=HEIGHT,
        xaxis={"title": {"text": curve.axis}, "rangemode": "tozero"},
        yaxis=value_axis(data.window, objective(data.objective)),
    )
    return Panel(figure, title=curve.title)
