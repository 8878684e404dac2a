"""Figures of the headline: shares of runs that reached the target, and regret against time."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy

matplotlib.use("Agg")
from matplotlib import pyplot

from .budget import HORIZON_HOURS
from .methods import DEFAULT, SLOTS
from .summaries import Summary, share_reached_curve

COLUMNS = 3
NO_TRIAL = 1.5  # regret before the first complete trial
AT = numpy.linspace(0.5, HORIZON_HOURS, 120)  # hours
Summaries = Mapping[tuple[str, str], Summary]  # by method and problem


def draw_reached(
    found: Summaries, methods: Sequence[str], problems: Sequence[str], path: Path
) -> None:
    """Draw the share of runs that have reached the target against hours, a panel per problem."""
    figure, panels = _panels(problems)
    for axis, summary, style in _curves(panels, found, methods, problems):
        hours, shares = share_reached_curve(summary.hours)
        axis.step(hours, 100 * shares, where="post", **style)
        axis.set_ylim(-2, 102)
    _finish(figure, panels, "runs that reached the target, %", path)


def draw_regret(
    found: Summaries, methods: Sequence[str], problems: Sequence[str], path: Path
) -> None:
    """Draw the median regret against hours, with the quartiles of the default."""
    figure, panels = _panels(problems)
    for axis, summary, style in _curves(panels, found, methods, problems):
        regrets = numpy.array([_regrets(outcome.best) for outcome in summary.outcomes])
        low, middle, high = numpy.quantile(regrets, (0.25, 0.5, 0.75), axis=0)
        axis.plot(AT, middle, **style)
        if style["label"] == DEFAULT:
            axis.fill_between(AT, low, high, color=style["color"], alpha=0.15, linewidth=0)
        axis.set_ylim(-0.25, 1.0)
    _finish(figure, panels, "normalised regret", path)


def _panels(problems: Sequence[str]) -> tuple[Any, Sequence[Any]]:
    """Return a figure with a panel per problem."""
    rows = -(-len(problems) // COLUMNS)
    figure, axes = pyplot.subplots(
        rows,
        COLUMNS,
        figsize=(4.2 * COLUMNS, 3.1 * rows + 0.9),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for unused in axes.flat[len(problems) :]:
        unused.set_visible(False)
    return figure, list(axes.flat[: len(problems)])


def _curves(
    panels: Sequence[Any], found: Summaries, methods: Sequence[str], problems: Sequence[str]
) -> Iterator[tuple[Any, Summary, dict[str, Any]]]:
    """Yield panel, summary and line style of each curve, problem by problem."""
    for axis, problem in zip(panels, problems, strict=True):
        axis.set(title=problem, xlim=(0, HORIZON_HOURS))
        for style in _styles(methods):
            yield axis, found[style["label"], problem], style


def _styles(methods: Sequence[str]) -> list[dict[str, Any]]:
    """Return a line style per method: the default is black and wide, the peers are dashed."""
    colors = iter(pyplot.colormaps["tab10"].colors)
    return [
        {"label": method, "color": "black", "linewidth": 2.5, "zorder": 3}
        if method == DEFAULT
        else {
            "label": method,
            "color": next(colors),
            "linewidth": 1.4,
            "linestyle": "-" if method.startswith(DEFAULT) else "--",
        }
        for method in methods
    ]


def _regrets(best: Sequence[Sequence[float]]) -> Any:
    """Return the regret at each of ``AT``."""
    regrets = [NO_TRIAL, *(regret for _, _, regret in best)]
    return numpy.array(regrets)[numpy.searchsorted([hours for hours, _, _ in best], AT, "right")]


def _finish(figure: Any, panels: Sequence[Any], label: str, path: Path) -> None:
    for index, axis in enumerate(panels):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if index % COLUMNS == 0:
            axis.set_ylabel(label)
        if index >= len(panels) - COLUMNS:
            axis.set_xlabel(f"hours on {SLOTS} slots")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
