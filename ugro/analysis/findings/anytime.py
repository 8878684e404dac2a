"""Cost at which each complete trial ended, in tokens and in seconds."""

from dataclasses import dataclass

import numpy
import pandas
from numpy.typing import NDArray

from ugro.analysis.findings.cost import tokens_used
from ugro.analysis.intervals import merged
from ugro.analysis.tables import Tables

Numbers = NDArray[numpy.float64]


@dataclass(frozen=True)
class Spent:
    """Cumulative cost of all trials at the end of each complete trial.

    Attributes:
        values: first objective of the complete trials, by trial number, ordered by their end
        at: cumulative cost at the end of each of these trials
        total: total cost; 0 if unknown
    """

    values: pandas.Series
    at: Numbers
    total: float

    def reached(self, target: float, minimised: bool) -> float | None:
        """Return the cost at the first value as good as ``target``; None if unknown or never."""
        good = self.values <= target if minimised else self.values >= target
        if not self.total or not good.any():
            return None
        return float(self.at[int(numpy.argmax(good.to_numpy()))])


def in_order(tables: Tables) -> pandas.Series:
    """Return the first objective of the complete trials, ordered by their end."""
    complete = tables.trials[tables.trials["state"] == "complete"]
    values = pandas.to_numeric(complete[tables.objectives[0]], errors="coerce").dropna()
    return by_end(tables, values)


def by_end(tables: Tables, values: pandas.Series) -> pandas.Series:
    """Order values by the end of their trials; values of trials without an end are left out."""
    ended = tables.trials.loc[values.index, "ended"].dropna()
    return values[ended.sort_values(kind="stable").index]


def improvements(values: pandas.Series, minimised: bool) -> pandas.Series:
    """Select the values that are better than all before them."""
    so_far = values.cummin() if minimised else values.cummax()
    return so_far[so_far.diff().fillna(1.0) != 0]


def tokens(tables: Tables, values: pandas.Series) -> Spent:
    """Return the cumulative training tokens of all trials, including stopped and failed trials.

    Tokens are charged when they are trained on: each report adds those since the report before.
    Reports without a time, and tokens after the last report, are charged when their trial ends.

    Args:
        tables: tables of the study
        values: values of its complete trials, ordered by their end
    """
    reports = tables.reports.sort_values(["number", "tokens_seen"])
    by_trial = reports.groupby("number")["tokens_seen"]
    since = by_trial.diff().fillna(reports["tokens_seen"])
    ended = reports["number"].map(tables.trials["ended"])
    times = reports.get("time", ended).fillna(ended)
    rest = tokens_used(tables).sub(by_trial.max(), fill_value=0.0).clip(lower=0.0)
    amounts = pandas.concat([since, rest]).to_numpy(dtype="float64")
    when = pandas.concat([times, tables.trials["ended"].reindex(rest.index)]).to_numpy("float64")
    order = numpy.argsort(when, kind="stable")  # running trials without times come last
    sums = numpy.concatenate([[0.0], amounts[order].cumsum()])
    at = sums[numpy.searchsorted(when[order], _ends(tables, values), side="right")]
    return Spent(values, at, float(sums[-1]))


def slot_seconds(tables: Tables, values: pandas.Series) -> Spent:
    """Seconds that all trials had stayed in slots, charged as they pass.

    Args:
        tables: the study's
        values: of its complete trials, in the order in which they ended
    """
    spans = tables.spans.dropna(subset=["began", "ended"])
    start = float(spans["began"].min()) if len(spans) else 0.0
    ends = _ends(tables, values) - start
    began, ended = (
        numpy.sort(spans[end].to_numpy(dtype="float64")) - start for end in ("began", "ended")
    )
    spent = _elapsed(began, ends) - _elapsed(ended, ends)
    return Spent(values, spent, float((ended - began).sum()))


def _elapsed(moments: Numbers, times: Numbers) -> Numbers:
    """Sum up the time since each moment that has passed.

    Args:
        moments: sorted
        times: at which the sums are taken
    """
    passed = numpy.searchsorted(moments, times, side="right")
    sums = numpy.concatenate([[0.0], moments.cumsum()])
    elapsed: Numbers = passed * times - sums[passed]
    return elapsed


def seconds(tables: Tables, values: pandas.Series) -> Spent:
    """Return the cumulative seconds during which a driver ran.

    Without driver sessions, the time starts with the first trial.

    Args:
        tables: tables of the study
        values: values of its complete trials, ordered by their end
    """
    ends = _ends(tables, values)
    sessions = merged(tables.sessions)
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
