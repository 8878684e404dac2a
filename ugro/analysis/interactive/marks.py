"""How is a trial marked in a figure? By its ending, the best and the baseline over all others."""

from collections.abc import Iterator
from typing import Any

import numpy
from plotly import graph_objects as go

from ugro.analysis.interactive.look import SHADES, coloured, diamond, mark, star
from ugro.analysis.pictures.subject import Kind, Subject
from ugro.analysis.pictures.ticks import Numbers

_BELOW_LAST = (Kind.STOPPED, Kind.FAILED, Kind.INFEASIBLE, Kind.RUNNING, Kind.COMPLETE)


def marks(
    subject: Subject,
    across: Numbers,
    up: Numbers,
    colour: Numbers | None = None,
    legend: bool = True,
) -> Iterator[go.Scatter]:
    """The trials as marks, those of a kind in one trace, the best and the baseline in their own.

    Args:
        across, up: where each of the study's trials is, NaN where it is not drawn
        colour: of complete trials, on the figure's colour axis
        legend: whether they are explained
    """
    there = ~numpy.isnan(across) & ~numpy.isnan(up)
    for kind in _BELOW_LAST:
        of_kind = numpy.asarray(subject.trials["kind"] == kind) & there & ~subject.singled_out
        if of_kind.any():
            if kind is Kind.COMPLETE and colour is not None:
                looks = coloured(len(subject.trials))
                shaded = {**looks, "color": colour[of_kind], "coloraxis": "coloraxis"}
                yield trace(subject, of_kind, across, up, kind.value, shaded, legend=False)
                yield explained(kind.value, looks)
                continue
            looks = mark(kind, len(subject.trials))
            yield trace(subject, of_kind, across, up, kind.value, looks, legend)
    for number, word, looks in singled_out(subject):
        own = numpy.asarray(subject.trials.index == number) & there
        if own.any():
            yield trace(subject, own, across, up, word, looks, legend)


def singled_out(subject: Subject) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The baseline and the best: their numbers, words and marks. One that is both is the best."""
    if subject.baseline is not None and subject.baseline != subject.best:
        yield subject.baseline, "baseline", diamond()
    if subject.best is not None:
        both = subject.best == subject.baseline
        yield subject.best, "best: the baseline" if both else "best", star()


def explained(name: str, looks: dict[str, Any]) -> go.Scatter:
    """The entry in the legend of marks that each have a colour of their own."""
    middle = SHADES[len(SHADES) // 2]
    return go.Scatter(x=[None], y=[None], mode="markers", name=name, legendgroup=name,
                      marker={**looks, "color": middle})  # fmt: skip


def trace(
    subject: Subject,
    which: Any,
    across: Numbers,
    up: Numbers,
    name: str,
    looks: dict[str, Any],
    legend: bool = True,
) -> go.Scatter:
    """Marks of some trials; the page says of each what it is, by its number."""
    return go.Scatter(
        x=across[which],
        y=up[which],
        mode="markers",
        name=name,
        marker=looks,
        customdata=[int(number) for number in subject.trials.index[which]],
        showlegend=legend,
        legendgroup=name,
        cliponaxis=False if name.startswith("best") else None,
    )
