"""What did a study cost? Tokens, time in slots, time on the clock; what early stopping saved."""

from dataclasses import dataclass

import numpy
import pandas

from ugro.analysis.tables import RUNNING, Tables
from ugro.events.outcome import Outcome

# Endings by which training less was the point.
STOPPED = (Outcome.RUNG.value, Outcome.DIVERGED.value, Outcome.PLATEAU.value)
FAILED = (Outcome.FAILED.value, Outcome.OUT_OF_MEMORY.value)


@dataclass(frozen=True)
class Cost:
    """What was spent.

    Attributes:
        trials: that were started
        finished: of these, those that have ended, however they did
        tokens: trained on in all trials; None where another program ran them
        slot_seconds: time that trials stayed in slots, added up
        wall_seconds: time in which a driver ran, or from the first trial to the last where only
            the record is known; None where nothing was timed
        slots: the most that could run at once; None where nobody said
        utilisation: the share of the slots' time that trials filled; None where the slots are not
            known, or several drivers ran side by side
        saved: the share of the tokens of full-length training that early stopping left out; None
            where no trial has ended
        failed: trials that ended in an error
        retried: times that a trial was run again, as its worker was lost
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


def cost_of(tables: Tables, retried: int) -> Cost:
    """Add it up.

    Args:
        tables: the study's
        retried: times that a trial was run again
    """
    trials = tables.trials
    used = _used(tables)
    of_ours = "tokens_seen" in trials or "step" in tables.reports
    return Cost(
        trials=len(trials),
        finished=int((~trials["ending"].isin((RUNNING, Outcome.INTERRUPTED.value))).sum()),
        tokens=int(used.sum()) if of_ours else None,
        slot_seconds=float(tables.slot_seconds.sum()),
        wall_seconds=_wall_seconds(tables),
        slots=int(tables.slots["slots"].max()) if len(tables.slots) else None,
        utilisation=_utilisation(tables),
        saved=_saved(tables, used),
        failed=int(trials["ending"].isin(FAILED).sum()),
        retried=retried,
    )


def _used(tables: Tables) -> pandas.Series:
    """Tokens, or whatever its reports count, that each trial has trained on."""
    reported = tables.reports.groupby("number")["tokens_seen"].max()
    used = reported.reindex(tables.trials.index)
    if "tokens_seen" in tables.trials:
        measured = pandas.to_numeric(tables.trials["tokens_seen"], errors="coerce")
        used = measured.fillna(used)
    return used.fillna(0.0).astype("float64")


def _saved(tables: Tables, used: pandas.Series) -> float | None:
    """Against training each trial that came to an end, or was stopped, at its full length."""
    complete = tables.trials["ending"] == Outcome.COMPLETE.value
    stopped = tables.trials["ending"].isin(STOPPED)
    length = used.where(complete)
    if "total_tokens" in tables.reports:
        length = length.fillna(tables.reports.groupby("number")["total_tokens"].max())
    length = length.fillna(length[complete].median())[complete | stopped].dropna()
    spent = numpy.minimum(used[length.index], length)
    return float(1 - spent.sum() / length.sum()) if length.sum() > 0 else None


def _wall_seconds(tables: Tables) -> float | None:
    if len(tables.sessions):
        return sum(end - begin for begin, end in together(tables.sessions))
    spans = tables.spans.dropna()
    return float(spans["ended"].max() - spans["began"].min()) if len(spans) else None


def together(sessions: pandas.DataFrame) -> list[tuple[float, float]]:
    """When a driver ran, those that ran side by side taken as one.

    Args:
        sessions: as in :class:`Tables`
    """
    merged: list[tuple[float, float]] = []
    for began, ended in sorted(zip(sessions["began"], sessions["ended"], strict=True)):
        if merged and began <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], ended)
        else:
            merged.append((float(began), float(ended)))
    return merged


def _utilisation(tables: Tables) -> float | None:
    drivers = together(tables.sessions)
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
