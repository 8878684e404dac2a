"""Were the slots busy? A row a slot over the wall clock, a bar a stay of a trial, by its ending."""

import numpy
import pandas
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ugro.analysis.findings.cost import cost_of
from ugro.analysis.pictures import labels, ticks
from ugro.analysis.pictures.lanes import Clock, Lanes, clock_of, lanes_of
from ugro.analysis.pictures.marks import best_and_baseline, legend
from ugro.analysis.pictures.style import (
    COLOURS,
    CUT_OFF,
    FAINT,
    SMALL,
    frame,
    new_figure,
    styled,
)
from ugro.analysis.pictures.subject import NothingToDrawError, Subject
from ugro.formatting import counted, duration, share

MOST_NAMED = 24  # rows
TALL = 0.78  # a bar, of its row
FEW = 250  # stays: up to there each has an edge
UNTIL_RETRIED = "cut off, went on later"
IDLE = "#E4E4E4"


@styled
def draw(subject: Subject) -> Figure:
    """The timeline.

    Raises:
        NothingToDrawError: nobody knows when trials ran.
    """
    spans = subject.tables.spans.dropna(subset=["began", "ended"])
    spans = spans[(spans["ended"] > spans["began"]) & spans["number"].isin(subject.trials.index)]
    if spans.empty:
        raise NothingToDrawError("nobody knows when trials ran")
    clock, lanes = clock_of(spans, subject.tables.sessions), lanes_of(spans)
    rows = len(lanes.names)
    figure = new_figure(13.0, float(numpy.clip(0.42 * rows + 3.0, 4.6, 8.5)))
    axes = figure.subplots()
    there = _bars(axes, subject, spans, clock, lanes)
    _marks(axes, subject, spans, clock, lanes)
    _pauses(axes, clock)
    size, unit = _dress(axes, spans, clock, lanes)
    axes.xaxis.set_major_formatter(lambda value, _: ticks.short(value / size))
    cut = " (pauses cut out)" if clock.pauses else ""
    axes.set_xlabel(f"{unit} since the study began{cut}")
    bars = [_patch(word, colour) for word, colour in there.items()]
    frame(figure, _finding(subject), [], [*legend(figure), *bars, _patch("idle", IDLE)])
    return figure


def _patch(word: str, colour: str) -> Line2D:
    return Line2D([], [], marker="s", markersize=14, linestyle="none", color=colour, label=word)


def _bars(
    axes: Axes, subject: Subject, spans: pandas.DataFrame, clock: Clock, lanes: Lanes
) -> dict[str, str]:
    """Draw them; the words and colours that were used."""
    left, right = (clock.at(spans[end].to_numpy(dtype="float64")) for end in ("began", "ended"))
    low = numpy.array(lanes.of) - TALL / 2
    corners = numpy.stack(
        [
            numpy.column_stack([left, low]),
            numpy.column_stack([left, low + TALL]),
            numpy.column_stack([right, low + TALL]),
            numpy.column_stack([right, low]),
        ],
        axis=1,
    )
    kinds = subject.trials["kind"].loc[spans["number"]]
    words = numpy.array([kind.value for kind in kinds], dtype=object)
    words[spans["number"].duplicated(keep="last").to_numpy()] = UNTIL_RETRIED
    colours = {kind.value: colour for kind, colour in COLOURS.items()} | {UNTIL_RETRIED: CUT_OFF}
    there = {word: colour for word, colour in colours.items() if (words == word).any()}
    for word, colour in there.items():
        axes.add_collection(PolyCollection(
            corners[words == word], facecolors=colour, edgecolors="white", rasterized=True,
            linewidths=0.8 if len(spans) <= FEW else 0.15, label=f"{word} stays", zorder=2,
        ))  # fmt: skip
    return there


def _marks(
    axes: Axes, subject: Subject, spans: pandas.DataFrame, clock: Clock, lanes: Lanes
) -> None:
    for number, looks in best_and_baseline(subject):
        stays = numpy.flatnonzero(spans["number"] == number)
        if len(stays):
            last = spans.iloc[stays[-1]]
            middle = clock.at(numpy.array([last["began"], last["ended"]], dtype="float64")).mean()
            axes.scatter(middle, lanes.of[stays[-1]], **looks)


def _pauses(axes: Axes, clock: Clock) -> None:
    for left, back in clock.pauses:
        at = float(clock.at(numpy.array(back)))
        axes.axvline(at, color=FAINT, linestyle="--", linewidth=1.3, zorder=3)
        axes.annotate(
            f"{duration(back - left)} pause", (at, 1), xycoords=axes.get_xaxis_transform(),
            xytext=(0, 4), textcoords="offset points", ha="center", fontsize=SMALL, color=FAINT,
        )  # fmt: skip


def _dress(axes: Axes, spans: pandas.DataFrame, clock: Clock, lanes: Lanes) -> tuple[float, str]:
    """Rows and time; the unit of time, in seconds and by name."""
    rows = len(lanes.names)
    end = float(clock.at(numpy.array(spans["ended"].max())))
    size, unit = labels.unit_of_time(end)
    axes.barh(range(rows), end, height=TALL, color=IDLE, zorder=1)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlim(-0.01 * end, 1.01 * end)
    axes.set_xticks([mark * size for mark in ticks.linear(0, end / size, most=8)])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if rows <= MOST_NAMED:
        names = [labels.plain(name) for name in lanes.names]
        axes.set_yticks(range(rows), names)
    else:
        axes.set_ylabel(f"{rows} slots")
        axes.set_yticks([])
    return size, unit


def _finding(subject: Subject) -> str:
    cost = cost_of(subject.tables, 0)
    told = counted(len(subject.trials), "trial")
    if cost.wall_seconds:
        told += f" in {duration(cost.wall_seconds)}"
    if cost.utilisation is None or cost.slots is None:
        return f"{told}, {duration(cost.slot_seconds)} in slots"
    slots = counted(cost.slots, "slot")
    return f"{slots} busy {share(cost.utilisation)} of the time: {told}"
