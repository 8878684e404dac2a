"""Describe what early ranks are worth, in recorded tables and synthetic families.

    python -m benchmarks.tabular.curve_statistics

Prints the tables of docs/benchmarks.md as Markdown. A method that stops trials early relies on
these figures, so synthetic curves should have those of recorded ones. Methods search the fit of a
table, whose curves are smoother than the table's, so the fit is described as well.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any

import numpy

from .curves import Problem, plain
from .families import FAMILIES, Family
from .markdown import markdown_table
from .problems import TABLES, reference_configurations
from .table import Table, errors, kendall

LANDSCAPES = range(8)  # of each family
SLOW = 0.1  # share of the gain; a configuration with less at a quarter of the run starts slowly
DIVERGED = 1.1  # times the untrained model's loss; more at the end is a diverged run


@dataclass(frozen=True)
class CurveStatistics:
    """What the first part of a set of learning curves tells of the end.

    A configuration is judged by its lowest loss after step 0, as trials are. Diverged ones count in
    ``diverged`` alone.

    Attributes:
        quarter: rank correlation (Kendall) of the loss at a quarter of the run with the lowest
        half: likewise, of the loss at half of the run
        best_quarter: likewise, at a quarter of the run, within the best quarter of configurations
        crossing: share of the best quarter that is behind the median at a quarter of the run
        slow: share of the best quarter with less than a tenth of its gain at a quarter of the run
        diverged: share of configurations
        noise: standard deviation between seeds, in differences between median and best
    """

    quarter: float
    half: float
    best_quarter: float
    crossing: float
    slow: float
    diverged: float
    noise: float


def statistics(losses: Any, noise: float) -> CurveStatistics:
    """Describe curves.

    Args:
        losses: of each configuration at step 0 and at equal distances from there to the end,
            [configurations, points]; NaN once a run has diverged
        noise: standard deviation of the last loss between seeds
    """
    whole = losses[losses[:, -1] <= DIVERGED * losses[:, 0]]  # false for NaN
    first, lowest = whole[:, 0], whole[:, 1:].min(axis=1)
    quarter, half = (whole[:, (whole.shape[1] - 1) // part] for part in (4, 2))
    best = lowest <= numpy.quantile(lowest, 0.25)
    return CurveStatistics(
        quarter=kendall(quarter, lowest),
        half=kendall(half, lowest),
        best_quarter=kendall(quarter[best], lowest[best]),
        crossing=float((quarter[best] > numpy.median(quarter)).mean()),
        slow=float(((first - quarter)[best] < SLOW * (first - lowest)[best]).mean()),
        diverged=1 - len(whole) / len(losses),
        noise=noise / float(numpy.median(lowest) - lowest.min()),
    )


def of_table(table: Table) -> CurveStatistics:
    """Describe the recorded curves of a table."""
    return statistics(table.losses, float(table.noise[-1]))


def of_problem(problem: Problem) -> CurveStatistics:
    """Describe the curves of quasi-random configurations of a family, or of a table's fit."""
    losses, again = (
        numpy.array([problem.curve(plain(one), seed).losses for one in reference_configurations()])
        for seed in (0, 1)
    )
    apart = losses[:, -1] - again[:, -1]
    return statistics(losses, float(numpy.sqrt(numpy.nanmean(apart**2) / 2)))


def mean(several: Iterable[CurveStatistics]) -> CurveStatistics:
    """Return the mean of each figure."""
    return CurveStatistics(*numpy.mean([astuple(one) for one in several], axis=0).tolist())


def table_row(table: Table) -> list[str]:
    """Return the cells of a table in the list of tables."""
    found, last = errors(table), table.losses[:, -1]
    return [
        f"`{table.name}`",
        table.model,
        table.data,
        table.evaluation,
        f"{len(last)}, {table.repeated}",
        f"{table.tokens:,}",
        f"{table.losses[0, 0]:.2f}",
        f"{numpy.nanmin(last):.2f} to {numpy.nanmax(last):.2f}",
        f"{table.noise[-1]:.4f}",
        f"{found['mean absolute error']:.3f} (of {found['standard deviation']:.3f})",
        f"{found['kendall']:.2f}",
    ]


def statistics_row(name: str, found: CurveStatistics) -> list[str]:
    """Return the cells of a set of curves."""
    ranks = [f"{each:.2f}" for each in (found.quarter, found.half, found.best_quarter)]
    shares = [f"{100 * each:.0f}%" for each in (found.crossing, found.slow, found.diverged)]
    return [name, *ranks, *shares, f"{found.noise:.3f}"]


TABLE_HEAD = (
    "table",
    "model",
    "data",
    "evaluation",
    "configurations, repeated",
    "tokens",
    "untrained loss",
    "last losses",
    "noise between seeds",
    "error of the fit",
    "Kendall of the fit",
)
STATISTICS_HEAD = (
    "curves",
    "Kendall of a quarter and the end",
    "of half",
    "of a quarter, within the best quarter",
    "crossing",
    "slow",
    "diverged",
    "noise / spread",
)


def main() -> None:
    """Print both tables."""
    tables = list(TABLES.values())
    print(markdown_table(TABLE_HEAD, map(table_row, tables)), end="\n\n")
    rows = [statistics_row(f"`{table.name}`", of_table(table)) for table in tables]
    rows += [statistics_row(f"fit of `{table.name}`", of_problem(table)) for table in tables]
    for name in FAMILIES:
        found = mean(of_problem(Family(name, seed)) for seed in LANDSCAPES)
        rows.append(statistics_row(name, found))
    print(markdown_table(STATISTICS_HEAD, rows))


if __name__ == "__main__":
    main()
