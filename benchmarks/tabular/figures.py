"""Figures of the headline: shares of runs that reached the target, and regret against time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy

matplotlib.use("Agg")
from matplotlib import pyplot

from .budget import HORIZON_HOURS
from .methods import DEFAULT
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
    for axis, problem in zip(panels, problems, strict=True):
        for method, style in zip(methods, _styles(methods), strict=True):
            hours, shares = share_reached_curve(found[method, problem].hours)
            axis.step(hours, 100 * shares, where="post", label=method, **style)
        axis.set(title=problem, xlim=(0, HORIZON_HOURS), ylim=(-2, 102))
    _finish(figure, panels, "runs that reached the target, %", path)


def draw_regret(
    found: Summaries, methods: Sequence[str], problems: Sequence[str], path: Path
) -> None:
    """Draw the median regret against hours, with the quartiles of the default."""
    figure, panels = _panels(problems)
    for axis, problem in zip(panels, problems, strict=True):
        for method, style in zip(methods, _styles(methods), strict=True):
            regrets = numpy.array([_regrets(o.best) for o in found[method, problem].outcomes])
            low, middle, high = numpy.quantile(regrets, (0.25, 0.5, 0.75), axis=0)
            axis.plot(AT, middle, label=method, **style)
            if method == DEFAULT:
                axis.fill_between(AT, low, high, color=style["color"], alpha=0.15, linewidth=0)
        axis.set(title=problem, xlim=(0, HORIZON_HOURS), ylim=(-0.25, 1.0))
    _finish(figure, panels, "normalised regret", path)


def _panels(problems: Sequence[str]) -> tuple[Any, Sequence[Any]]:
    """Return a figure with a panel per problem."""
    rows = -(-len(problems) // COLUMNS)
    figure, axes = pyplot.subplots(
        rows, COLUMNS, figsize=(4.2 * COLUMNS, 3.1 * rows + 0.9), sharey=True, squeeze=False
    )
    for unused in axes.flat[len(problems) :]:
        unused.set_visible(False)
    return figure, list(axes.flat[: len(problems)])


def _styles(methods: Sequence[str]) -> list[dict[str, Any]]:
    """Return a line style per method: the default is black and wide, the peers are dashed."""
    colors = iter(pyplot.colormaps["tab10"].colors)
    return [
        {"color": "black", "linewidth": 2.5, "zorder": 3}
        if method == DEFAULT
        else {
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
            axis.set_xlabel("hours on 8 slots")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.035 + 0.018 * -(-len(labels) // 3), 1, 1))
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
