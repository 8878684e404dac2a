"""How good was the best at each moment, and at what cost? In tokens, and on the clock."""

from dataclasses import dataclass

import numpy
import pandas
from numpy.typing import NDArray

from ugro.analysis.findings.cost import together
from ugro.analysis.tables import Tables

Numbers = NDArray[numpy.float64]


@dataclass(frozen=True)
class Spent:
    """What all trials together had spent when each complete one ended.

    Attributes:
        values: the first objective of the complete trials, in the order in which they ended, by
            their numbers
        at: what had been spent by then, a number a value
        total: what was spent in all; 0 where nobody knows
    """

    values: pandas.Series
    at: Numbers
    total: float

    def reached(self, target: float, minimised: bool) -> float | None:
        """What had been spent when a value was as good as that; None: never, or nobody knows."""
        good = self.values <= target if minimised else self.values >= target
        if not self.total or not good.any():
            return None
        return float(self.at[int(numpy.argmax(good.to_numpy()))])


def in_order(tables: Tables) -> pandas.Series:
    """The first objective of the complete trials, in the order in which they ended."""
    complete = tables.trials[tables.trials["state"] == "complete"]
    values = pandas.to_numeric(complete[tables.objectives[0]], errors="coerce").dropna()
    ended = tables.trials["ended"]
    return values[ended[values.index].dropna().sort_values(kind="stable").index]


def tokens(tables: Tables, values: pandas.Series) -> Spent:
    """Tokens that all trials had trained on, stopped and failed ones too.

    Each report adds what was trained on since the last; untimed ones when their trial ended.

    Args:
        tables: the study's
        values: of its complete trials, in the order in which they ended
    """
    told = tables.reports.sort_values(["number", "tokens_seen"])
    since = told.groupby("number")["tokens_seen"].diff().fillna(told["tokens_seen"])
    ended = told["number"].map(tables.trials["ended"])
    when = told.get("time", ended).fillna(ended).to_numpy(dtype="float64")
    order = numpy.argsort(when, kind="stable")  # what runs, and is not timed, comes last
    sums = numpy.concatenate([[0.0], since.to_numpy(dtype="float64")[order].cumsum()])
    at = sums[numpy.searchsorted(when[order], _ends(tables, values), side="right")]
    return Spent(values, at, float(sums[-1]))


def seconds(tables: Tables, values: pandas.Series) -> Spent:
    """Seconds in which a driver ran, from the first trial on where drivers are not known.

    Args:
        tables: the study's
        values: of its complete trials, in the order in which they ended
    """
    ends = _ends(tables, values)
    sessions = together(tables.sessions)
    if not sessions:
        spans = tables.spans.dropna(subset=["began", "ended"])
        if not len(spans):
            return Spent(values, numpy.zeros(len(values)), 0.0)
        sessions = [(float(spans["began"].min()), float(spans["ended"].max()))]
    at = sum(
        (numpy.clip(ends, began, ended) - began for began, ended in sessions),
        numpy.zeros(len(values)),
    )
    return Spent(values, at, sum(ended - began for began, ended in sessions))


def _ends(tables: Tables, values: pandas.Series) -> Numbers:
    ends: Numbers = tables.trials.loc[values.index, "ended"].to_numpy(dtype="float64")
    return ends
