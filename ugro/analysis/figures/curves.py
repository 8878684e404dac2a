"""The learning curves: each trial's objective at each of its reports."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pandas
from plotly import graph_objects as go

from ugro.analysis.comparable import unit
from ugro.analysis.figures.downsampling import downsampled
from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.lines import Lines, lines_of, traces
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.theme import FAINT, beyond, escaped, joined, mark, value_axis
from ugro.analysis.figures.drawing.ticks import Numbers
from ugro.analysis.figures.drawing.window import Window, window
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView, plottable
from ugro.events.outcome import Outcome
from ugro.formatting import counted

MOST, MOST_POINTS = 400, 60  # trials, and points of each
LOG_FROM = 10.0  # longest curve over first rung, above which the axis is logarithmic
HEIGHT = 520  # pixels


@dataclass(frozen=True)
class Curves:
    """What the figure shows.

    Attributes:
        counted_in: tokens or steps
        label: of the objective's axis
        rungs: tokens at which trials were compared
        longest: tokens of the longest curve
        log: whether tokens are on a logarithmic axis
        lines: the curves, [points, 2]: tokens and value
        ends: by kind and trial, where it was stopped, failed or is now
    """

    finding: str
    counted_in: str
    label: str
    minimised: bool
    window: Window
    rungs: tuple[float, ...]
    longest: float
    log: bool
    lines: tuple[Lines, ...]
    ends: Mapping[Kind, Mapping[int, tuple[float, float]]]
    note: str


def prepare(view: StudyView) -> Curves:
    """Collect the data.

    Raises:
        NoDataError: no trial has reported twice.
    """
    levels, finding = rungs(view.tables.reports), _finding(view)
    part = downsampled(view, MOST)
    reports = _reports(part)
    longest = float(reports["tokens_seen"].max()) if len(reports) else 0.0
    log = len(levels) > 1 and longest >= LOG_FROM * levels[0]
    curves = _curves(reports[reports["tokens_seen"] > 0] if log else reports)
    if not any(len(one) > 1 for one in curves.values()):
        raise NoDataError("no trial has reported more than once")
    chosen = [one for one in (part.best, part.baseline) if one is not None]
    keep = reports.loc[reports["number"].isin(chosen), "value"]
    seen = window(reports["value"], part.minimised, keep)
    ends = _ends(part, curves)
    sampled = len(part.trials) < len(view.trials)
    return Curves(
        finding=finding,
        counted_in=unit(part.tables),
        label=_label(part),
        minimised=part.minimised,
        window=seen,
        rungs=tuple(levels),
        longest=longest,
        log=log,
        lines=lines_of(part, curves, seen),
        ends=ends,
        note=joined(
            f"Curves of {len(part.trials):,} of {counted(len(view.trials), 'trial')}." * sampled,
            "A ring is where a trial was stopped or paused." * (Kind.STOPPED in ends),
        ),
    )


def rungs(reports: pandas.DataFrame) -> list[float]:
    """Find the tokens at which trials were compared; none where it was not by tokens.

    Args:
        reports: the study's; its column ``rung`` counts the rungs that a trial has reached
    """
    if "rung" not in reports:
        return []
    known = reports.dropna(subset=["rung"])
    counts = sorted(one for one in known["rung"].unique() if one > 0)
    first = [float(known.loc[known["rung"] >= one, "tokens_seen"].min()) for one in counts]
    before = [float(known.loc[known["rung"] < one, "tokens_seen"].max()) for one in counts]
    if any(late >= at for late, at in zip(before, first, strict=True)):
        return []
    return sorted(set(first))


def _finding(view: StudyView) -> str:
    stopped = len(view.of(Kind.STOPPED))
    if not stopped:
        return labels.headline(view)
    of_all = f"{stopped:,} of {counted(len(view.trials), 'trial')} stopped or paused"
    reports = view.tables.reports
    if not rungs(reports) or "stop" not in reports:
        return of_all
    at_first = int(((reports["stop"] == Outcome.RUNG.value) & (reports["rung"] == 1)).sum())
    these = "all" if at_first == stopped else f"{at_first:,} of them"
    return f"{of_all}, {these} at the first rung" if at_first else of_all


def _column(view: StudyView) -> str:
    """The reported number to draw: of several objectives the first, where trials report it."""
    several = len(view.tables.objectives) > 1
    return view.objective if several and view.objective in view.tables.reports else "value"


def _label(view: StudyView) -> str:
    if len(view.tables.objectives) > 1 and _column(view) == "value":
        return "what trials were compared by"
    return labels.label(view.objective)


def _reports(view: StudyView) -> pandas.DataFrame:
    reports = view.tables.reports
    found = reports[["number", "tokens_seen"]].assign(value=plottable(reports[_column(view)]))
    return found[found["number"].isin(view.trials.index)].dropna()


def _curves(reports: pandas.DataFrame) -> dict[int, Numbers]:
    """Each trial's points; long curves are thinned evenly, their first and last points kept."""
    found = {}
    for number, points in reports.groupby("number")[["tokens_seen", "value"]]:
        every = points.to_numpy(dtype="float64")
        if len(every) > MOST_POINTS:
            every = every[numpy.linspace(0, len(every) - 1, MOST_POINTS).round().astype(int)]
        found[int(number)] = every
    return found


def _ends(
    view: StudyView, curves: Mapping[int, Numbers]
) -> dict[Kind, dict[int, tuple[float, float]]]:
    ends: dict[Kind, dict[int, tuple[float, float]]] = {}
    for number, curve in curves.items():
        kind = view.trials.at[number, "kind"]
        if kind is not Kind.COMPLETE:
            ends.setdefault(kind, {})[number] = float(curve[-1, 0]), float(curve[-1, 1])
    return ends


def draw(data: Curves) -> Panel:
    """Draw the learning curves."""
    hover = f"<br>%{{y:.4~g}} at %{{x:,.0f}} {data.counted_in}"
    many = sum(len(group.of) for group in data.lines)
    figure = go.Figure()
    for kind, ends in data.ends.items():
        across, up = zip(*ends.values(), strict=True)
        figure.add_scatter(
            x=across, y=up, mode="markers", marker=mark(kind, many), customdata=list(ends),
            name=f"{kind.value}: its end", showlegend=False,
        )  # fmt: skip
    figure.add_traces(list(traces(data.lines, data.minimised, hover)))
    figure.update_layout(
        height=HEIGHT,
        xaxis=_token_axis(data),
        yaxis=value_axis(data.window, escaped(data.label)),
        **_rung_marks(data.rungs, data.log),
    )
    hint = "Point at a curve to see its trial."
    return Panel(figure, joined(data.note, beyond(data.window)), hint)


def _token_axis(data: Curves) -> dict[str, Any]:
    text = "tokens trained on" if data.counted_in == "tokens" else data.counted_in
    if not data.log:
        return {"title": {"text": text}, "rangemode": "tozero"}
    beyond_last = data.longest > 1.2 * data.rungs[-1]
    marks = [*data.rungs, data.longest] if beyond_last else list(data.rungs)
    return {"title": {"text": f"{text} (log scale)"}, "type": "log", "tickvals": marks,
            "ticktext": [labels.amount(one) for one in marks]}  # fmt: skip


def _rung_marks(levels: Sequence[float], log: bool) -> dict[str, list[dict[str, Any]]]:
    """Vertical lines at the rungs."""
    shapes = [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "y domain",
         "layer": "below", "line": {"color": FAINT, "width": 1, "dash": "dot"}}
        for at in levels
    ]  # fmt: skip
    texts = [
        {"x": math.log10(at) if log else at, "y": 1, "yref": "y domain", "yanchor": "top",
         "xanchor": "left", "xshift": 2, "text": f"rung {count}", "showarrow": False,
         "textangle": 90, "font": {"size": 11, "color": FAINT}}
        for count, at in enumerate(levels, 1)
    ]  # fmt: skip
    return {"shapes": shapes, "annotations": texts}
