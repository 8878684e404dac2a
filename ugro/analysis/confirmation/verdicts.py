"""Conclusions from a confirmation, in sentences."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from ugro.analysis.confirmation.candidates import BASELINE, Candidate, LoggedStudy
from ugro.analysis.confirmation.difference import CONFIDENCE, Difference, difference


def verdicts_of(
    study: LoggedStudy, again: LoggedStudy, candidates: Sequence[Candidate], seeds: Sequence[int]
) -> Iterator[str]:
    """Yield the conclusions, the most important first.

    Args:
        study: event log of the study
        again: event log of the confirmation
        candidates: retrained configurations, the best first
        seeds: seeds of the confirmation
    """
    best = next(iter(study.ranked().values()), None)
    if best is not None and best not in [candidate.number for candidate in candidates]:
        yield (
            f"Trial {best}, the best so far, was not retrained: "
            "the same command with study.confirm=1 or more does it."
        )
    if candidates:
        leader, *others = candidates
        yield from _of_the_leader(leader, again.objective, seeds)
        if study.trials[leader.number].source == BASELINE:
            yield (
                f"Trial {leader.number} is the configuration as it was: "
                "the search found nothing better."
            )
        for other in others:
            found = difference(leader.values, other.values, again.maximised)
            yield _unknown(leader, other) if found is None else _compared(leader, other, found)
        yield from _by_the_means(candidates, again.maximised)
    yield from _without_value(again)


def _of_the_leader(leader: Candidate, objective: str, seeds: Sequence[int]) -> Iterator[str]:
    known = [seed for seed, value in zip(seeds, leader.values, strict=True) if math.isfinite(value)]
    if not known:
        return
    found = leader.found
    searched = f"; {digits(found, leader.spread)} in the search" if math.isfinite(found) else ""
    yield (
        f"{_capitalised(leader.named)}: {objective} {with_spread(leader)} with "
        f"seed{'s' if len(known) > 1 else ''} {_listed(known)}{searched}."
    )


def _unknown(leader: Candidate, other: Candidate) -> str:
    return (
        f"Whether trial {leader.number} beats {other.named}, is unknown: "
        "this requires two seeds with values of both."
    )


def _compared(leader: Candidate, other: Candidate, found: Difference) -> str:
    if found.is_better:
        interval = _interval(found.mean, found.low, found.high)
        return (
            f"Trial {leader.number} clearly beats {other.named}: by {interval.format(found.seeds)}."
        )
    if found.is_worse:
        interval = _interval(-found.mean, -found.high, -found.low)
        return (
            f"{_capitalised(other.named)}, clearly beats trial {leader.number}: "
            f"by {interval.format(found.seeds)}."
        )
    before, mean, low, high = leader, found.mean, found.low, found.high
    if mean < 0:
        before, mean, low, high = other, -mean, -high, -low
    interval = _interval(mean, low, high)
    return (
        f"{_capitalised(other.named)}, is as good as trial {leader.number}, "
        f"as far as {found.seeds} seeds can tell: "
        f"trial {before.number} is ahead by {interval.format(found.seeds)}, "
        "which is within the noise."
    )


def _interval(mean: float, low: float, high: float) -> str:
    """Format mean and interval, with a placeholder for the number of seeds."""
    noise = (high - low) / 2
    shown = f"{digits(low, noise)} to {digits(high, noise)}"
    return f"{digits(mean, noise)} on average of {{}} seeds ({CONFIDENCE:.0%} interval {shown})"


def _by_the_means(candidates: Sequence[Candidate], maximised: bool) -> Iterator[str]:
    known = [candidate for candidate in candidates if math.isfinite(candidate.mean)]
    leader = candidates[0]
    if leader not in known:
        return
    first = (max if maximised else min)(known, key=lambda candidate: candidate.mean)
    if first.mean != leader.mean:
        yield (
            f"The mean over the seeds puts {first.named}, first: {with_spread(first)}, "
            f"against {with_spread(leader)} of trial {leader.number}."
        )


def _without_value(again: LoggedStudy) -> Iterator[str]:
    ended = again.ended
    lost = Counter(
        trial.ending.in_words for trial in ended if trial.ending and math.isnan(trial.value)
    )
    for how, count in lost.items():
        yield f"{count} of {again.total} trainings gave no value: {how}."
    if again.total > len(ended):
        left = again.total - len(ended)
        yield f"{left} of {again.total} trainings remain: the same command resumes."


def with_spread(candidate: Candidate) -> str:
    """Return ``3.2563 ± 0.0021``, or only the mean of a single value."""
    mean = digits(candidate.mean, candidate.spread)
    return (
        mean
        if math.isnan(candidate.spread)
        else f"{mean} ± {digits(candidate.spread, candidate.spread)}"
    )


def digits(value: float, noise: float) -> str:
    """Format a value with the digits that are significant given its noise."""
    if not noise > 1e-9 * abs(value):  # no noise beyond rounding
        return f"{value:.5g}"
    return f"{value:.{max(0, 1 - math.floor(math.log10(noise)))}f}"


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _listed(numbers: Sequence[int]) -> str:
    texts = [str(number) for number in numbers]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
