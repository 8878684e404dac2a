"""Which values of trials can be compared, where some were stopped early?"""

import math
from dataclasses import dataclass

import numpy
import pandas

from ugro.analysis.tables import Tables
from ugro.events.outcome import Outcome

# Ended because they were worse than others. Whatever else ended says nothing of the objective.
BEHIND = (Outcome.RUNG.value, Outcome.DIVERGED.value)
ENOUGH = 0.8  # the share of the trials that a comparison has to take in


@dataclass(frozen=True)
class Comparable:
    """Trials with a number each, by which they can be compared.

    Attributes:
        values: by trial number; smaller is better
        of: what they are, for people
    """

    values: pandas.Series
    of: str


def comparable(tables: Tables) -> Comparable:
    """The values at equal tokens, the most that four trials in five have come to.

    Where hardly any trial was stopped for being behind, these are the final values. Else the
    complete trials are a choice of good ones, in which what the bad ones did wrong cannot be seen.
    Values that are far too bad count as bad, no more: a few trials that diverged are not the study.
    """
    complete = tables.complete
    behind = tables.trials["ending"].isin(BEHIND).sum()
    name = tables.objectives[0]
    final = Comparable(
        _fenced(_minimised(tables, complete[name])),
        f"{name} of the {len(complete):,} complete trials",
    )
    reports = tables.reports.astype({"tokens_seen": "float64", "value": "float64"})
    reports = reports[numpy.isfinite(reports["value"])]
    reports = reports[reports["tokens_seen"] > 0]  # at 0 all are the same untrained model
    if len(complete) >= ENOUGH * (len(complete) + behind) or reports.empty:
        return final
    reached = reports.groupby("number")["tokens_seen"].max()
    at = sorted(reached)[len(reached) - math.ceil(ENOUGH * len(reached))]
    values = pandas.Series(
        {
            number: numpy.interp(at, one["tokens_seen"], one["value"])
            for number, one in reports.groupby("number")
            if reached[number] >= at
        },
        dtype="float64",
    )
    return Comparable(
        _fenced(_minimised(tables, values)),
        f"{name} of {len(values):,} trials at {at:,.0f} {unit(tables)}",
    )


def _fenced(values: pandas.Series) -> pandas.Series:
    """At most three times the interquartile range above it.

    The outer fence of Tukey, Exploratory Data Analysis, 1977.
    """
    finite = values[numpy.isfinite(values)]
    if finite.empty:
        return finite
    lower, upper = finite.quantile([0.25, 0.75])
    return finite.clip(upper=upper + 3 * (upper - lower)) if upper > lower else finite


def ranked(tables: Tables) -> Comparable:
    """Trials in the order in which Optuna's TPE takes them to be good, as ranks from 0.

    The complete ones by their value, then those that were behind, the farthest first.
    """
    complete = tables.complete
    stopped = tables.trials[tables.trials["ending"].isin(BEHIND)]
    reached = tables.reports.groupby("number")["tokens_seen"].max()
    far = reached.reindex(stopped.index).astype("float64").fillna(-1.0).to_numpy()
    last = _minimised(tables, stopped["last_value"]).to_numpy(dtype="float64")
    behind = stopped.index[numpy.lexsort((last, -far))]
    order = [*complete.index, *behind]
    values = pandas.Series(range(len(order)), index=order, dtype="float64")
    what = f"{len(complete):,} complete" + (f" and {len(behind):,} stopped" if len(behind) else "")
    return Comparable(values, f"{tables.objectives[0]}, {what} trials by rank")


def unit(tables: Tables) -> str:
    """What reports are counted in: another program's are not known to be tokens."""
    return "tokens" if tables.configuration or "step" in tables.reports else "steps"


def _minimised(tables: Tables, values: pandas.Series) -> pandas.Series:
    numbers = values.astype("float64")  # of no trial, a column is of no type
    return -numbers if tables.directions[0] == "maximize" else numbers
