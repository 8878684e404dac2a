"""Comparable values of trials, some of which were stopped early."""

import math
from dataclasses import dataclass

import numpy
import pandas

from ugro.analysis.tables import Tables
from ugro.events.outcome import Outcome

# Outcomes caused by a bad objective value; other outcomes say nothing about it. A paused trial
# waits as long as others promise more.
STOPPED_AS_WORSE = (Outcome.RUNG.value, Outcome.DIVERGED.value, Outcome.PAUSED.value)
MIN_SHARE = 0.8  # minimum share of trials that a comparison covers


@dataclass(frozen=True)
class Comparable:
    """A comparable value for each trial.

    Attributes:
        values: values by trial number; smaller is better
        of: description of the values
    """

    values: pandas.Series
    of: str


def comparable(tables: Tables) -> Comparable:
    """Return values at equal tokens, at the largest number that 80% of the trials reached.

    If few trials were stopped for bad values, these are the final values. Otherwise the complete
    trials are a biased selection of good trials. Extreme values are clipped, so that a few diverged
    trials do not dominate.
    """
    complete = tables.complete
    behind = tables.trials["ending"].isin(STOPPED_AS_WORSE).sum()
    name = tables.objectives[0]
    final = Comparable(
        _clip_outliers(_minimised(tables, complete[name])),
        f"{name} of the {len(complete):,} complete trials",
    )
    reports = tables.reports.astype({"tokens_seen": "float64", "value": "float64"})
    reports = reports[numpy.isfinite(reports["value"])]
    reports = reports[reports["tokens_seen"] > 0]  # at 0 all trials share the untrained model
    if len(complete) >= MIN_SHARE * (len(complete) + behind) or reports.empty:
        return final
    reached = reports.groupby("number")["tokens_seen"].max()
    at = sorted(reached)[len(reached) - math.ceil(MIN_SHARE * len(reached))]
    values = pandas.Series(
        {
            number: numpy.interp(at, group["tokens_seen"], group["value"])
            for number, group in reports.groupby("number")
            if reached[number] >= at
        },
        dtype="float64",
    )
    return Comparable(
        _clip_outliers(_minimised(tables, values)),
        f"{name} of {len(values):,} trials at {at:,.0f} {unit(tables)}",
    )


def _clip_outliers(values: pandas.Series) -> pandas.Series:
    """Clip values above the third quartile plus three interquartile ranges.

    This is the outer fence of Tukey, Exploratory Data Analysis, 1977.
    """
    finite = values[numpy.isfinite(values)]
    if finite.empty:
        return finite
    lower, upper = finite.quantile([0.25, 0.75])
    return finite.clip(upper=upper + 3 * (upper - lower)) if upper > lower else finite


def ranked(tables: Tables) -> Comparable:
    """Rank trials from 0 in the order of Optuna's TPE.

    Complete trials come first, sorted by value, then stopped trials, sorted by resource.
    """
    complete = tables.complete
    stopped = tables.trials[tables.trials["ending"].isin(STOPPED_AS_WORSE)]
    reached = tables.reports.groupby("number")["tokens_seen"].max()
    far = reached.reindex(stopped.index).astype("float64").fillna(-1.0).to_numpy()
    last = _minimised(tables, stopped["last_value"]).to_numpy(dtype="float64")
    behind = stopped.index[numpy.lexsort((last, -far))]
    order = [*complete.index, *behind]
    values = pandas.Series(range(len(order)), index=order, dtype="float64")
    what = f"{len(complete):,} complete" + (f" and {len(behind):,} stopped" if len(behind) else "")
    return Comparable(values, f"{tables.objectives[0]}, {what} trials by rank")


def unit(tables: Tables) -> str:
    """Return the unit of the reports: tokens in UGRO's studies, steps in others."""
    return "tokens" if tables.configuration or "step" in tables.reports else "steps"


def _minimised(tables: Tables, values: pandas.Series) -> pandas.Series:
    numbers = values.astype("float64")  # an empty column has dtype object
    return -numbers if tables.directions[0] == "maximize" else numbers
