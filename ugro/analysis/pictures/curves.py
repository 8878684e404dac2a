"""How did trials learn? The objective of every trial at each of its reports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pandas
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from ugro.analysis.comparable import unit
from ugro.analysis.pictures import labels, ticks
from ugro.analysis.pictures.marks import HOLLOW, SHAPES
from ugro.analysis.pictures.shading import shades
from ugro.analysis.pictures.style import (
    BASELINE,
    BEST,
    COLOURS,
    DARK_BEST,
    FAINT,
    SMALL,
    frame,
    new_figure,
    styled,
)
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject, drawable
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.window import Window, window
from ugro.events.outcome import Outcome
from ugro.formatting import counted, number

LOG_FROM = 10.0  # times the first rung that trials go: from there on rungs crowd on a line
APART = 0.12  # of the height, that two labels keep


@dataclass(frozen=True)
class Curve:
    """One trial's: tokens and value, a row a report."""

    number: int
    kind: Kind
    points: Numbers


@styled
def draw(subject: Subject) -> Figure:
    """The learning curves.

    Raises:
        NothingToDrawError: no trial has reported twice.
    """
    reports = _reports(subject)
    levels = rungs(subject.tables.reports)
    longest = float(reports["tokens_seen"].max()) if len(reports) else 0.0
    log = len(levels) > 1 and longest >= LOG_FROM * levels[0]
    curves = list(_curves(subject, reports[reports["tokens_seen"] > 0] if log else reports))
    if not any(len(curve.points) > 1 for curve in curves):
        raise NothingToDrawError("no trial has reported more than once")
    figure = new_figure(12.0, 7.4)
    axes = figure.subplots()
    of_value = _window(subject, reports)
    _lines(axes, subject, curves, of_value)
    _ends(axes, curves, of_value)
    _along(axes, subject, curves, levels, log)
    of_value.dress(axes, "y")
    axes.set_ylabel(_label(subject))
    _best_and_baseline(axes, subject, curves, of_value)
    notes = [f"Each line is a trial: {labels.kinds(subject)}.", _left(of_value)]
    frame(figure, _finding(subject, levels), notes, _legend(curves, levels))
    return figure


def _column(subject: Subject) -> str:
    """What is drawn: of several objectives the first, where trials report it."""
    several = len(subject.tables.objectives) > 1
    return subject.objective if several and subject.objective in subject.tables.reports else "value"


def _label(subject: Subject) -> str:
    if len(subject.tables.objectives) > 1 and _column(subject) == "value":
        return "what trials were compared by"
    return labels.label(subject.objective)


def _reports(subject: Subject) -> pandas.DataFrame:
    """Those that can be drawn."""
    told = subject.tables.reports
    found = told[["number", "tokens_seen"]].assign(value=drawable(told[_column(subject)]))
    return found[found["number"].isin(subject.trials.index)].dropna()


def _curves(subject: Subject, reports: pandas.DataFrame) -> Iterator[Curve]:
    for trial, points in reports.groupby("number")[["tokens_seen", "value"]]:
        kind = subject.trials.at[trial, "kind"]
        yield Curve(int(trial), kind, points.to_numpy(dtype="float64"))


def rungs(reports: pandas.DataFrame) -> list[float]:
    """The tokens at which trials were compared; none where they were not, or not by tokens.

    Args:
        reports: the study's, of which ``rung`` says how many rungs a trial had come to
    """
    if "rung" not in reports:
        return []
    told = reports.dropna(subset=["rung"])
    counts = sorted(one for one in told["rung"].unique() if one > 0)
    first = [float(told.loc[told["rung"] >= one, "tokens_seen"].min()) for one in counts]
    before = [float(told.loc[told["rung"] < one, "tokens_seen"].max()) for one in counts]
    if any(late >= at for late, at in zip(before, first, strict=True)):
        return []
    return sorted(set(first))


def _window(subject: Subject, reports: pandas.DataFrame) -> Window:
    marked = [one for one in (subject.best, subject.baseline) if one is not None]
    keep = reports.loc[reports["number"].isin(marked), "value"]
    return window(reports["value"], subject.minimised, keep)


def _lines(axes: Axes, subject: Subject, curves: Sequence[Curve], of_value: Window) -> None:
    singled_out = (subject.best, subject.baseline)
    clear = float(numpy.clip(40 / len(curves), 0.15, 0.8))
    for kind in Kind:
        of_kind = [c.points for c in curves if c.kind is kind and c.number not in singled_out]
        if not of_kind:
            continue
        lines = LineCollection(of_kind, linewidths=1.3, label=kind.value, rasterized=True)
        if kind is Kind.COMPLETE:
            lines.set_array(of_value.clipped([points[-1, 1] for points in of_kind]))
            lines.set_cmap(shades(subject.minimised))
            lines.set_norm(Normalize(*_ends_of([points[-1, 1] for points in of_kind], of_value)))
            lines.set(linewidth=1.8, zorder=2.5, alpha=float(numpy.clip(2 * clear, 0.4, 1.0)))
        else:
            lines.set(color=COLOURS[kind], alpha=clear)
        axes.add_collection(lines, autolim=False)


def _ends_of(values: Sequence[float], of_value: Window) -> tuple[float, float]:
    clipped = of_value.clipped(values)
    return ticks.padded(float(clipped.min()), float(clipped.max()), 0.0)


def _ends(axes: Axes, curves: Sequence[Curve], of_value: Window) -> None:
    """Mark where trials were stopped, failed, or have come to."""
    area = float(numpy.clip(4000 / len(curves), 8, 45))
    for kind in Kind:
        last = [curve.points[-1] for curve in curves if curve.kind is kind]
        if not last or kind is Kind.COMPLETE:
            continue
        across, up = numpy.array(last).T
        hollow = {"facecolors": "white", "edgecolors": COLOURS[kind]}
        looks: dict[str, Any] = hollow if kind in HOLLOW else {"color": COLOURS[kind]}
        axes.scatter(
            across, of_value.clipped(up), s=area, marker=SHAPES[kind], linewidths=1.1, zorder=2.7,
            alpha=1.0 if len(curves) < 300 else 0.6, **looks,
        )  # fmt: skip


def _along(
    axes: Axes, subject: Subject, curves: Sequence[Curve], levels: Sequence[float], log: bool
) -> None:
    """The tokens, and the rungs as lines across."""
    counted = unit(subject.tables)
    text = "tokens trained on" if counted == "tokens" else counted
    every = numpy.concatenate([curve.points[:, 0] for curve in curves])
    low, high = float(every.min()), float(every.max())
    if log:
        ticks.set_log(axes, "x")
        marks = [*levels, high] if high > 1.2 * levels[-1] else list(levels)
        ticks.set_ticks(axes, "x", marks, [labels.amount(one) for one in marks])
        axes.set_xlabel(f"{text} (log scale)")
        axes.set_xlim(low / 1.1, high * 1.05)
    else:
        ticks.resource(axes, "x", text)
        axes.set_xlim(*ticks.padded(low, high, 0.02))
    for count, at in enumerate(levels, 1):
        axes.axvline(at, color=FAINT, linestyle=":", linewidth=1.5, zorder=1)
        axes.annotate(
            f"rung {count}", (at, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, 3),
            textcoords="offset points", ha="center", fontsize=SMALL, color=FAINT,
        )  # fmt: skip


def _best_and_baseline(
    axes: Axes, subject: Subject, curves: Sequence[Curve], of_value: Window
) -> None:
    """The baseline and the best over all others, named at the right."""
    by_number = {curve.number: curve for curve in curves}
    named = []
    for trial, word, colour, style in (
        (subject.baseline, "baseline", BASELINE, "--"),
        (subject.best, "best", BEST, "-"),
    ):
        if trial is None or trial not in by_number:
            continue
        points = by_number[trial].points
        edge = [Stroke(linewidth=5.5, foreground="white"), Normal()]
        (line,) = axes.plot(
            *points.T, color=colour, linestyle=style, linewidth=3, zorder=3, label=word,
            marker="o" if len(points) == 1 else None,
        )  # fmt: skip
        line.set_path_effects(edge)
        text = f"{word}, trial {trial}"
        if _column(subject) != "value" or len(subject.tables.objectives) == 1:
            text += f":\n{number(subject.value(trial))}"
        named.append((float(of_value.unit(points[-1, 1])), text, colour))
    if subject.best is not None and subject.best == subject.baseline:
        named = named[-1:]
    for at, (_, text, colour) in zip(_apart([one[0] for one in named]), named, strict=True):
        axes.text(
            1.015, at, text, transform=axes.transAxes, va="center", fontweight="bold",
            color=DARK_BEST if colour == BEST else colour,
        )  # fmt: skip


def _apart(heights: Sequence[float]) -> list[float]:
    """Two labels' heights, moved apart where they would lie over each other."""
    if len(heights) < 2 or abs(heights[0] - heights[1]) >= APART:
        return list(heights)
    middle, up = sum(heights) / 2, heights[0] > heights[1]
    middle = min(max(middle, APART / 2), 1 - APART / 2)
    lower, upper = middle - APART / 2, middle + APART / 2
    return [upper, lower] if up else [lower, upper]


def _finding(subject: Subject, levels: Sequence[float]) -> str:
    many, stopped = len(subject.trials), len(subject.of(Kind.STOPPED))
    if not stopped:
        return f"{labels.headline(subject)}"
    of_all = f"{stopped:,} of {counted(many, 'trial')} stopped early"
    told = subject.tables.reports
    if not levels or "stop" not in told:
        return of_all
    at_first = ((told["stop"] == Outcome.RUNG.value) & (told["rung"] == 1)).sum()
    these = "all" if at_first == stopped else f"{at_first:,} of them"
    return f"{of_all}, {these} at the first rung" if at_first else of_all


def _legend(curves: Sequence[Curve], levels: Sequence[float]) -> list[Line2D]:
    there = {curve.kind for curve in curves}
    lines = []
    for kind in Kind:
        if kind not in there:
            continue
        end: dict[str, Any] = {} if kind is Kind.COMPLETE else {"marker": SHAPES[kind]}
        if kind in HOLLOW:
            end["markerfacecolor"] = "white"
        shaded = kind is Kind.COMPLETE
        colour = shades(minimised=True)(0.35) if shaded else COLOURS[kind]
        text = labels.SHADED if shaded else kind.value
        lines.append(Line2D([], [], color=colour, linewidth=1.8, label=text, **end))
    if levels:
        lines.append(Line2D([], [], color=FAINT, linestyle=":", label="rung"))
    return lines


def _left(of_value: Window) -> str:
    if not of_value.beyond:
        return ""
    return f"{counted(of_value.beyond, 'worse report')} beyond the axis."
