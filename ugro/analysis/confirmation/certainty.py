"""Certainty that the best trial is the best, from its confirmation or the study itself."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy
from optuna.trial import FrozenTrial

from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.generations import Paired, paired
from ugro.analysis.importance.points import points_of
from ugro.analysis.importance.surrogate import surrogate
from ugro.analysis.tables import Tables
from ugro.formatting import counted, gap, number
from ugro.study.study import Study

NEAR = 0.01  # relative difference from the best value
APART = 2.0  # standard deviations below which values are not distinguishable
# Minimum numbers of complete trials: total, per key, in the best quarter.
MIN_TRIALS, MIN_TRIALS_PER_KEY, MIN_BEST_TRIALS = 24, 4, 5
SEEDS, REPEATS, RESIDUALS = "seeds", "repeats", "residuals"


@dataclass(frozen=True)
class Noise:
    """Noise of the first objective at a fixed configuration.

    Attributes:
        deviation: standard deviation
        of: source of the estimate: ``seeds`` of a confirmation, ``repeats`` of a configuration, or
            out-of-bag ``residuals`` of a random forest on the best quarter of the trials, which
            overestimate the noise
    """

    deviation: float
    of: str


@dataclass(frozen=True)
class Certainty:
    """Certainty of the result.

    Attributes:
        confirmed: whether the best trials were retrained with other seeds
        second: number of the second best trial; None with fewer than two complete trials
        gap: difference of its value from the best value
        near: number of other trials within 1% of the best value
        noise: estimated noise; None if unknown
        within_noise: number of other trials within two standard deviations of the best value
        paired: difference of the best from the second, paired by example; None if unknown
        said: the certainty in sentences
    """

    confirmed: bool
    second: int | None
    gap: float | None
    near: int
    noise: Noise | None
    within_noise: int | None
    paired: Paired | None
    said: tuple[str, ...]


def certainty_of(
    study: Study, tables: Tables, confirmation: Confirmation | None, seed: int = 0
) -> Certainty:
    """Estimate the certainty of the best trial.

    Args:
        study: record of the study
        tables: tables of the study
        confirmation: confirmation of the best trials, if any
        seed: seed of the random forest
    """
    ranked = study.ranked()
    gaps = _gaps(ranked)
    noise = _noise(ranked, confirmation, seed)
    near = sum(gap <= NEAR * abs(ranked[0].values[0]) for gap in gaps)
    within = sum(gap <= APART * noise.deviation for gap in gaps) if noise else None
    found = Certainty(
        confirmed=confirmation is not None,
        second=ranked[1].number if gaps else None,
        gap=gaps[0] if gaps else None,
        near=near,
        noise=noise,
        within_noise=within,
        paired=_paired(ranked, tables),
        said=(),
    )
    said = confirmation.verdicts if confirmation else tuple(_sentences(found, ranked, tables))
    return Certainty(**{**vars(found), "said": said})


def _paired(ranked: Sequence[FrozenTrial], tables: Tables) -> Paired | None:
    if len(ranked) < 2:
        return None
    return paired(tables.folder, ranked[0].number, ranked[1].number, tables.objectives[0])


def _gaps(ranked: Sequence[FrozenTrial]) -> list[float]:
    """Return the difference of each further trial from the best value."""
    return [abs(trial.values[0] - ranked[0].values[0]) for trial in ranked[1:]]


def _noise(
    ranked: Sequence[FrozenTrial], confirmation: Confirmation | None, seed: int
) -> Noise | None:
    if confirmation is not None:
        spreads = [
            candidate.spread for candidate in confirmation.candidates if len(candidate.values) > 1
        ]
        finite = [spread for spread in spreads if math.isfinite(spread)]
        if finite:
            return Noise(math.sqrt(sum(spread**2 for spread in finite) / len(finite)), SEEDS)
    return _repeats(ranked) or _residuals(ranked, seed)


def _repeats(ranked: Sequence[FrozenTrial]) -> Noise | None:
    """Estimate the noise from repeated configurations, unless a fixed seed made them equal."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for trial in ranked:
        same = tuple(sorted(f"{key}={value!r}" for key, value in trial.params.items()))
        groups.setdefault(same, []).append(trial.values[0])
    repeated = [values for values in groups.values() if len(values) > 1]
    freedom = sum(len(values) - 1 for values in repeated)
    squares = sum(float(numpy.var(values)) * len(values) for values in repeated)
    return Noise(math.sqrt(squares / freedom), REPEATS) if squares > 0 else None


def _residuals(ranked: Sequence[FrozenTrial], seed: int) -> Noise | None:
    """Estimate an upper bound from the residuals of a random forest on the best quarter."""
    points = points_of(ranked)
    if len(ranked) < max(MIN_TRIALS, MIN_TRIALS_PER_KEY * len(points.axes)) or not points.axes:
        return None
    values = numpy.array([trial.values[0] for trial in ranked])
    if not numpy.isfinite(values).all():
        return None
    best = slice(max(MIN_BEST_TRIALS, len(ranked) // 4))
    missed = values[best] - surrogate(points.filled(), values, seed).predicted[best]
    deviation = float(numpy.sqrt(numpy.mean(missed**2)))
    return Noise(deviation, RESIDUALS) if deviation > 0 else None


def _sentences(found: Certainty, ranked: Sequence[FrozenTrial], tables: Tables) -> Iterator[str]:
    if not ranked:
        return
    if found.second is None or found.gap is None:
        yield "It is the only complete trial: there is nothing to compare it with."
        return
    others = f"of the {counted(len(ranked) - 1, 'other')} {{}} within {NEAR:.0%} of the best"
    lie = "lies" if found.near == 1 else "lie"
    near = f"{found.near:,} {others.format(lie)}" if found.near else f"none {others.format('lies')}"
    of_all = f"; {near}" if len(ranked) > 2 else ""
    yield (
        f"The second, trial {found.second}, is {gap(found.gap, ranked[0].values[0])} behind in "
        f"{tables.objectives[0]}{of_all}."
    )
    if found.paired is not None:
        low, high = found.paired.interval
        yield (
            f"Over the {found.paired.examples:,} examples that both answered, it differs by "
            f"{number(found.paired.difference)} (95% interval {number(low)} to {number(high)})."
        )
    yield from _of_noise(found)
    yield "How much another seed would change is not known" + (
        ": study.confirm=3 trains the best three again, with several." if tables.is_ours else "."
    )


def _of_noise(found: Certainty) -> Iterator[str]:
    noise = found.noise
    if noise is None:
        return
    within = counted(found.within_noise, "other trial") if found.within_noise else "no other trial"
    if noise.of == REPEATS:
        yield (
            f"Configurations that were run again differed by {number(noise.deviation)} (standard "
            f"deviation): {within} cannot be distinguished from the best."
        )
    elif noise.of == RESIDUALS:
        yield (
            f"What the keys cannot explain of the best quarter is {number(noise.deviation)} "
            f"(standard deviation; the noise, and what a model of them misses): "
            f"{within} may be as good."
        )
