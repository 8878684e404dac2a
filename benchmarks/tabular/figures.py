"""Figure of regret against time and tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy

matplotlib.use("Agg")
from matplotlib import pyplot

from .methods import BOHB, METHODS, OPTUNA, PROCESS, SEQUENTIAL, TUNE, UPSTREAM
from .outcomes import MethodOutcome

MIN_REGRET = 1e-3  # lower regrets are clipped
SHOWN = (SEQUENTIAL, PROCESS, "GP", OPTUNA, TUNE, BOHB, UPSTREAM)
BANDED = (SEQUENTIAL, "GP", UPSTREAM)  # more bands would hide each other


def draw_regret(outcomes: Sequence[MethodOutcome], problems: Sequence[str], path: Path) -> None:
    """Draw a column per problem: regret against hours above, against full trials below."""
    figure, axes = pyplot.subplots(
        2, len(problems), figsize=(4 * len(problems), 7.5), sharey=True, squeeze=False
    )
    shown = [method for method in METHODS if method.name in SHOWN]
    colors = ["black", *pyplot.colormaps["tab10"].colors]  # black: the reference
    for column, problem in enumerate(problems):
        for method, color in zip(shown, colors, strict=False):
            mine = [o for o in outcomes if (o.method, o.problem) == (method.name, problem)]
            for row, tokens in enumerate((False, True)):
                _band(axes[row, column], mine, tokens, color, method.name)
        axes[0, column].set_title(problem)
        axes[0, column].set_xlabel("hours")
        axes[1, column].set_xlabel("whole trials' worth of tokens")
    for axis in axes[:, 0]:
        axis.set_ylabel("normalised regret")
    for axis in axes.flat:
        axis.set(xscale="log", yscale="log", ylim=(MIN_REGRET, 1.5))
        axis.grid(alpha=0.3)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _band(axis: Any, mine: Sequence[MethodOutcome], tokens: bool, color: Any, name: str) -> None:
    """Draw the median over seeds, with an interquartile band for some methods."""
    ends = [o.tokens / o.trial_tokens if tokens else o.hours for o in mine]
    at = numpy.geomspace(1.0, float(numpy.median(ends)), 120)
    curves = numpy.array([_steps(o, at, tokens) for o in mine])
    low, middle, high = numpy.quantile(curves, (0.25, 0.5, 0.75), axis=0)
    axis.plot(at, middle, color=color, label=name)
    if name in BANDED:
        axis.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)


def _steps(outcome: MethodOutcome, at: Any, tokens: bool) -> Any:
    """Return the regret at each position; 1.5 before the first complete trial."""
    when = [t / outcome.trial_tokens if tokens else hours for hours, t, _ in outcome.best]
    regrets = [1.5, *(max(MIN_REGRET, regret) for _, _, regret in outcome.best)]
    return numpy.array(regrets)[numpy.searchsorted(when, at, side="right")]
