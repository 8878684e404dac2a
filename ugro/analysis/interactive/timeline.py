"""Were the slots busy? Each trial's stay as a bar, and how many were taken at any time."""

from collections.abc import Sequence

import numpy
import pandas
from plotly import graph_objects as go

from ugro.analysis.interactive.look import Panel, shown, together
from ugro.analysis.interactive.marks import singled_out
from ugro.analysis.pictures import labels
from ugro.analysis.pictures.lanes import Clock, Lanes, clock_of, lanes_of
from ugro.analysis.pictures.style import COLOURS, CUT_OFF, FAINT
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject
from ugro.analysis.pictures.ticks import Numbers
from ugro.analysis.pictures.timeline import UNTIL_RETRIED
from ugro.formatting import counted, duration

MOST, BINS = 3000, 1000  # bars; places on the line of busy slots
ROW, AROUND, HIGHEST = 24, 210, 760  # pixels: a slot, what is above and below, all


def draw(subject: Subject) -> Panel:
    """The timeline.

    Raises:
        NothingToDrawError: nobody knows when trials ran.
    """
    spans = subject.tables.spans.dropna(subset=["began", "ended"])
    spans = spans[(spans["ended"] > spans["began"]) & spans["number"].isin(subject.trials.index)]
    if spans.empty:
        raise NothingToDrawError("nobody knows when trials ran")
    clock = clock_of(spans, subject.tables.sessions)
    end = float(clock.at(spans["ended"].to_numpy(dtype="float64")).max())
    size, unit = labels.unit_of_time(end)
    bars = len(spans) <= MOST
    lanes = lanes_of(spans) if bars else Lanes((), ())
    figure = go.Figure()
    if bars:
        _bars(figure, subject, spans, clock, lanes, size)
    _busy(figure, subject, spans, clock, size)
    rows = len(lanes.names)
    height = min(AROUND + ROW * rows, HIGHEST) if bars else 320
    below = 90 / height if bars else 1.0  # of the height, that the line of busy slots takes
    figure.update_layout(
        height=height,
        barmode="overlay",
        bargap=0.15,
        xaxis={"title": {"text": f"{unit} since the study began"}, "anchor": "y2",
               "range": [-0.005 * end / size, 1.005 * end / size]},
        yaxis={
            "domain": [min(below + 0.06, 0.98), 1.0], "range": [rows - 0.5, -0.5],
            "tickvals": list(range(rows)), "ticktext": [shown(name) for name in lanes.names],
            "visible": bars, "showgrid": False, "showline": False, "ticks": "",
        },
        yaxis2={"domain": [0.0, below], "title": {"text": "busy"},
                "rangemode": "tozero", "nticks": 4, "tickformat": ",d"},
    )  # fmt: skip
    _mark_pauses(figure, clock, size)
    cut = [f"{duration(back - left)}" for left, back in clock.pauses]
    pauses = f"Pauses cut out at the dotted lines: {', '.join(cut[:8])}." if cut else ""
    many = "" if bars else f"{counted(len(spans), 'stay')}: too many to draw each."
    return Panel(figure, together(many, pauses))


def _bars(
    figure: go.Figure,
    subject: Subject,
    spans: pandas.DataFrame,
    clock: Clock,
    lanes: Lanes,
    size: float,
) -> None:
    began, ended = (_at(clock, spans[end], size) for end in ("began", "ended"))
    row = numpy.array(lanes.of)
    kinds = subject.trials["kind"].loc[spans["number"]]
    words = numpy.array([kind.value for kind in kinds], dtype=object)
    words[spans["number"].duplicated(keep="last").to_numpy()] = UNTIL_RETRIED
    colours = {**{kind.value: COLOURS[kind] for kind in Kind}, UNTIL_RETRIED: CUT_OFF}
    for word, colour in colours.items():
        own = words == word
        if own.any():
            figure.add_bar(
                orientation="h", y=row[own], base=began[own], x=(ended - began)[own], name=word,
                customdata=[int(one) for one in spans["number"][own]],
                marker={"color": colour, "line": {"width": 0}},
            )  # fmt: skip
    for number, word, looks in singled_out(subject):
        stays = numpy.flatnonzero(spans["number"] == number)
        if len(stays):
            last = stays[-1]
            figure.add_scatter(
                x=[(began[last] + ended[last]) / 2], y=[row[last]], mode="markers", name=word,
                marker=looks, customdata=[number],
            )  # fmt: skip


def _busy(
    figure: go.Figure, subject: Subject, spans: pandas.DataFrame, clock: Clock, size: float
) -> None:
    """How many slots were taken, and how many there were."""
    at, taken = _taken(*(_at(clock, spans[end], size) for end in ("began", "ended")))
    figure.add_scatter(
        x=at, y=taken, mode="lines", fill="tozeroy", fillcolor="rgba(0,114,178,0.25)", yaxis="y2",
        line={"shape": "hv", "width": 1.2, "color": COLOURS[Kind.COMPLETE]}, showlegend=False,
        name="busy slots", hovertemplate="%{y:.4~g} busy<extra></extra>",
    )  # fmt: skip
    slots = subject.tables.slots
    if len(slots):
        times = _at(clock, slots["time"], size)
        counts = slots["slots"].to_numpy(dtype="float64")
        figure.add_scatter(
            x=numpy.append(times, at[-1]), y=numpy.append(counts, counts[-1]), mode="lines",
            line={"shape": "hv", "width": 1.5, "dash": "dash", "color": FAINT}, yaxis="y2",
            name="slots", showlegend=False, hovertemplate="%{y:,d} slots<extra></extra>",
        )  # fmt: skip


def _at(clock: Clock, times: pandas.Series, size: float) -> Numbers:
    at: Numbers = clock.at(times.to_numpy(dtype="float64")) / size
    return at


def _taken(began: Numbers, ended: Numbers) -> tuple[Numbers, Numbers]:
    """When the number of busy slots changed, and to what; of many changes the mean of each bin."""
    times = numpy.concatenate([began, ended])
    steps = numpy.repeat([1.0, -1.0], len(began))
    order = numpy.lexsort((steps, times))
    at, busy = times[order], numpy.cumsum(steps[order])
    if len(at) <= BINS:
        return at, busy
    edges = numpy.linspace(at[0], at[-1], BINS + 1)
    total = numpy.concatenate([[0.0], numpy.cumsum(busy[:-1] * numpy.diff(at))])
    means = numpy.diff(numpy.interp(edges, at, total)) / numpy.diff(edges)
    return edges, numpy.append(means, means[-1])


def _mark_pauses(figure: go.Figure, clock: Clock, size: float) -> None:
    backs: Sequence[float] = [back for _, back in clock.pauses]
    for at in clock.at(numpy.array(backs, dtype="float64")) / size:
        figure.add_shape(
            type="line", x0=float(at), x1=float(at), y0=0, y1=1, yref="paper",
            line={"color": FAINT, "width": 1.3, "dash": "dot"},
        )  # fmt: skip
