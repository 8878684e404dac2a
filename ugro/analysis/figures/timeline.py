"""The timeline: each trial's stays in slots as bars, and the number of busy slots."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy
from plotly import graph_objects as go

from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.markers import style
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.points import Points, highlights
from ugro.analysis.figures.drawing.theme import COLOURS, FAINT, RETRIED, escaped, joined
from ugro.analysis.figures.drawing.ticks import Numbers
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView
from ugro.analysis.figures.timeline_rows import clock_of, rows_of
from ugro.analysis.findings.cost import cost_of
from ugro.formatting import counted, duration, share

INTERRUPTED = "cut off or paused, resumed later"
BAR_COLOURS = {**{kind.value: colour for kind, colour in COLOURS.items()}, INTERRUPTED: RETRIED}
MOST, BINS = 3000, 1000  # bars; points of the line of busy slots
ROW, FRAME, HIGHEST = 24, 210, 760  # pixels: per slot, around the rows, in all


@dataclass(frozen=True)
class Bars:
    """Stays of trials that ended alike.

    Attributes:
        numbers: the trial of each stay
        rows, began, ended: of each stay, in the axis' unit of time
    """

    label: str
    numbers: tuple[int, ...]
    rows: tuple[int, ...]
    began: tuple[float, ...]
    ended: tuple[float, ...]


@dataclass(frozen=True)
class Timeline:
    """What the figure shows; times are in units since the study began, without pauses.

    Attributes:
        unit: of time
        end: of the last stay
        rows: names of the slots; empty where there are too many stays to draw each
        highlights: the baseline and the best, in the middle of their last stays
        busy: [changes, 2]: time and number of busy slots
        slots: [changes, 2]: time and number of slots; empty where it is unknown
        pauses: time and seconds of each
        stays: number of them
    """

    finding: str
    unit: str
    end: float
    rows: tuple[str, ...]
    bars: tuple[Bars, ...]
    highlights: tuple[Points, ...]
    busy: Numbers
    slots: Numbers
    pauses: tuple[tuple[float, float], ...]
    stays: int


def prepare(view: StudyView) -> Timeline:
    """Collect the data.

    Raises:
        NoDataError: it is not known when trials ran.
    """
    tables = view.tables
    spans = tables.spans.dropna(subset=["began", "ended"])
    spans = spans[(spans["ended"] > spans["began"]) & spans["number"].isin(view.trials.index)]
    if spans.empty:
        raise NoDataError("it is not known when trials ran")
    clock = clock_of(spans, tables.sessions)
    seconds = clock.at(spans["ended"].to_numpy(dtype="float64"))
    size, unit = labels.unit_of_time(float(seconds.max()))
    began, ended = clock.at(spans["began"].to_numpy(dtype="float64")) / size, seconds / size
    numbers = spans["number"].to_numpy()
    names: tuple[str, ...] = ()
    bars: list[Bars] = []
    marked: list[Points] = []
    if len(spans) <= MOST:
        rows = rows_of(spans)
        names = rows.names
        bars = list(_bars(view, numbers, numpy.array(rows.of), began, ended))
        marked = list(_highlights(view, numbers, numpy.array(rows.of), began, ended))
    backs = numpy.array([back for _, back in clock.pauses], dtype="float64")
    counts = tables.slots["slots"].to_numpy(dtype="float64")
    changed = clock.at(tables.slots["time"].to_numpy(dtype="float64")) / size
    return Timeline(
        finding=_finding(view),
        unit=unit,
        end=float(ended.max()),
        rows=names,
        bars=tuple(bars),
        highlights=tuple(marked),
        busy=_busy(began, ended),
        slots=numpy.column_stack([changed, counts]),
        pauses=tuple(
            (float(at), back - left)
            for at, (left, back) in zip(clock.at(backs) / size, clock.pauses, strict=True)
        ),
        stays=len(spans),
    )


def _bars(
    view: StudyView, numbers: Numbers, rows: Numbers, began: Numbers, ended: Numbers
) -> Iterator[Bars]:
    """Group stays by how their trials ended; all but a trial's last stay were resumed."""
    words = numpy.array([kind.value for kind in view.trials["kind"].loc[numbers]], dtype=object)
    last = {number: at for at, number in enumerate(numbers.tolist())}
    words[[last[number] != at for at, number in enumerate(numbers.tolist())]] = INTERRUPTED
    for word in BAR_COLOURS:
        own = words == word
        if own.any():
            yield Bars(
                word,
                tuple(int(one) for one in numbers[own]),
                tuple(int(one) for one in rows[own]),
                tuple(began[own].tolist()),
                tuple(ended[own].tolist()),
            )


def _highlights(
    view: StudyView, numbers: Numbers, rows: Numbers, began: Numbers, ended: Numbers
) -> Iterator[Points]:
    for mark, label, number in highlights(view):
        stays = numpy.flatnonzero(numbers == number)
        if len(stays):
            last = stays[-1]
            middle = float(began[last] + ended[last]) / 2
            yield Points(mark, label, (number,), (middle,), (float(rows[last]),))


def _busy(began: Numbers, ended: Numbers) -> Numbers:
    """Times at which the number of busy slots changed, and that number; many are averaged."""
    times = numpy.concatenate([began, ended])
    steps = numpy.repeat([1.0, -1.0], len(began))
    order = numpy.lexsort((steps, times))
    at, busy = times[order], numpy.cumsum(steps[order])
    if len(at) <= BINS:
        return numpy.column_stack([at, busy])
    edges = numpy.linspace(at[0], at[-1], BINS + 1)
    total = numpy.concatenate([[0.0], numpy.cumsum(busy[:-1] * numpy.diff(at))])
    means = numpy.diff(numpy.interp(edges, at, total)) / numpy.diff(edges)
    return numpy.column_stack([edges, numpy.append(means, means[-1])])


def _finding(view: StudyView) -> str:
    cost = cost_of(view.tables, 0)
    text = counted(len(view.trials), "trial")
    if cost.wall_seconds:
        text += f" in {duration(cost.wall_seconds)}"
    if cost.utilisation is None or cost.slots is None:
        return f"{text}, {duration(cost.slot_seconds)} in slots"
    return f"{counted(cost.slots, 'slot')} busy {share(cost.utilisation)} of the time: {text}"


def draw(data: Timeline) -> Panel:
    """Draw the rows of bars, and below them the number of busy slots."""
    figure = go.Figure()
    for bars in data.bars:
        figure.add_bar(
            orientation="h", y=bars.rows, base=bars.began, name=bars.label,
            x=[end - begin for begin, end in zip(bars.began, bars.ended, strict=True)],
            customdata=bars.numbers,
            marker={"color": BAR_COLOURS[bars.label], "line": {"width": 0}},
        )  # fmt: skip
    for one in data.highlights:
        figure.add_scatter(
            x=one.x, y=one.y, mode="markers", name=one.label, marker=style(one.mark, 1),
            customdata=one.numbers,
        )  # fmt: skip
    _draw_busy(figure, data)
    rows = len(data.rows)
    height = min(FRAME + ROW * rows, HIGHEST) if rows else 320
    below = 90 / height if rows else 1.0  # share of the height for the line of busy slots
    figure.update_layout(
        height=height,
        barmode="overlay",
        bargap=0.15,
        xaxis={"title": {"text": f"{data.unit} since the study began"}, "anchor": "y2",
               "range": [-0.005 * data.end, 1.005 * data.end]},
        yaxis={
            "domain": [min(below + 0.06, 0.98), 1.0], "range": [rows - 0.5, -0.5],
            "tickvals": list(range(rows)), "ticktext": [escaped(name) for name in data.rows],
            "visible": bool(rows), "showgrid": False, "showline": False, "ticks": "",
        },
        yaxis2={"domain": [0.0, below], "title": {"text": "busy"},
                "rangemode": "tozero", "nticks": 4, "tickformat": ",d"},
        shapes=_pause_lines(data.pauses),
    )  # fmt: skip
    cut = ", ".join(duration(seconds) for _, seconds in data.pauses[:8])
    pauses = f"Pauses cut out at the dotted lines: {cut}." if cut else ""
    many = "" if rows else f"{counted(data.stays, 'stay')}: too many to draw each."
    return Panel(figure, joined(many, pauses))


def _draw_busy(figure: go.Figure, data: Timeline) -> None:
    """Draw how many slots were busy, and how many there were."""
    at, taken = data.busy.T
    figure.add_scatter(
        x=at, y=taken, mode="lines", fill="tozeroy", fillcolor="rgba(0,114,178,0.25)", yaxis="y2",
        line={"shape": "hv", "width": 1.2, "color": COLOURS[Kind.COMPLETE]}, showlegend=False,
        name="busy slots", hovertemplate="%{y:.4~g} busy<extra></extra>",
    )  # fmt: skip
    if len(data.slots):
        times, counts = data.slots.T
        figure.add_scatter(
            x=numpy.append(times, at[-1]), y=numpy.append(counts, counts[-1]), mode="lines",
            line={"shape": "hv", "width": 1.5, "dash": "dash", "color": FAINT}, yaxis="y2",
            name="slots", showlegend=False, hovertemplate="%{y:,d} slots<extra></extra>",
        )  # fmt: skip


def _pause_lines(pauses: Sequence[tuple[float, float]]) -> list[dict[str, object]]:
    return [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": FAINT, "width": 1.3, "dash": "dot"}}
        for at, _ in pauses
    ]  # fmt: skip
