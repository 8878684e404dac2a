"""Cost of a study: tokens, slot time, wall time, and the savings of early stopping."""

from dataclasses import dataclass

import numpy
import pandas

from ugro.analysis.intervals import merged
from ugro.analysis.tables import OPEN, Tables
from ugro.events.early_ranks import EARLY_SHARE, rank_agreement
from ugro.events.outcome import SHORTENED, Outcome

STOPPED = tuple(outcome.value for outcome in SHORTENED)
FAILED = (Outcome.FAILED.value, Outcome.OUT_OF_MEMORY.value)


@dataclass(frozen=True)
class Cost:
    """Cost of a study.

    Attributes:
        trials: number of started trials
        finished: number of ended trials, whatever their outcome
        tokens: training tokens of all trials; None for studies of other programs
        slot_seconds: total time of trials in slots
        wall_seconds: time during which a driver ran, else from the first to the last trial;
            None without times
        slots: maximum number of concurrent slots; None if unknown
        utilisation: share of the slots' time used by trials; None without known slots, or with
            concurrent drivers
        saved: share of the tokens of full-length training saved by early stopping; None before a
            trial has ended
        failed: number of trials that ended with an error
        retried: number of retries after the loss of a worker
        agreement: rank correlation of complete trials' values at a quarter and at their end; None
            with few trials
    """

    trials: int
    finished: int
    tokens: int | None
    slot_seconds: float
    wall_seconds: float | None
    slots: int | None
    utilisation: float | None
    saved: float | None
    failed: int
    retried: int
    agreement: float | None


def cost_of(tables: Tables, retried: int) -> Cost:
    """Compute the cost of a study.

    Args:
        tables: tables of the study
        retried: number of retries
    """
    trials = tables.trials
    used = tokens_used(tables)
    of_ours = "tokens_seen" in trials or "step" in tables.reports
    return Cost(
        trials=len(trials),
        finished=int((~trials["ending"].isin(OPEN)).sum()),
        tokens=int(used.sum()) if of_ours else None,
        slot_seconds=float(tables.slot_seconds.sum()),
        wall_seconds=_wall_seconds(tables),
        slots=int(tables.slots["slots"].max()) if len(tables.slots) else None,
        utilisation=_utilisation(tables),
        saved=_saved(tables, used),
        failed=int(trials["ending"].isin(FAILED).sum()),
        retried=retried,
        agreement=early_rank_agreement(tables),
    )


def tokens_used(tables: Tables) -> pandas.Series:
    """Return the resource used by each trial: tokens, or the steps of its reports."""
    reported = tables.reports.groupby("number")["tokens_seen"].max()
    used = reported.reindex(tables.trials.index)
    if "tokens_seen" in tables.trials:
        measured = pandas.to_numeric(tables.trials["tokens_seen"], errors="coerce")
        used = measured.fillna(used)
    return used.fillna(0.0).astype("float64")


def _saved(tables: Tables, used: pandas.Series) -> float | None:
    """Return the saving relative to training all stopped and complete trials to full length."""
    complete = tables.trials["ending"] == Outcome.COMPLETE.value
    stopped = tables.trials["ending"].isin(STOPPED)
    length = used.where(complete)
    if "total_tokens" in tables.reports:
        length = length.fillna(tables.reports.groupby("number")["total_tokens"].max())
    length = length.fillna(length[complete].median())[complete | stopped].dropna()
    spent = numpy.minimum(used[length.index], length)
    return float(1 - spent.sum() / length.sum()) if length.sum() > 0 else None


def early_rank_agreement(tables: Tables) -> float | None:
    """Return the rank correlation of complete trials' values at a quarter and at their end.

    None with few trials, and for studies of other programs.
    """
    if not tables.is_ours:
        return None
    reports = tables.reports[tables.reports["number"].isin(tables.complete.index)]
    ends = reports.groupby("number")["tokens_seen"].transform("max")
    early = reports[reports["tokens_seen"] <= EARLY_SHARE * ends].groupby("number")["value"].last()
    final = tables.complete[tables.objectives[0]]
    return rank_agreement(*(each.astype("float64").to_dict() for each in (early, final)))


def _wall_seconds(tables: Tables) -> float | None:
    if len(tables.sessions):
        return sum(end - begin for begin, end in merged(tables.sessions))
    spans = tables.spans.dropna()
    return float(spans["ended"].max() - spans["began"].min()) if len(spans) else None


def _utilisation(tables: Tables) -> float | None:
    drivers = merged(tables.sessions)
    if not drivers or not len(tables.slots) or len(drivers) < len(tables.sessions):
        return None
    since = tables.slots["time"].to_numpy(dtype="float64")
    until = numpy.append(since[1:], numpy.inf)
    open_for = sum(
        float(numpy.clip(numpy.minimum(until, end) - numpy.maximum(since, begin), 0, None) @ slots)
        for slots in [tables.slots["slots"].to_numpy(dtype="float64")]
        for begin, end in drivers
    )
    busy = float(tables.slot_seconds.sum())
    return min(busy / open_for, 1.0) if open_for > 0 else None
