"""Unions of time intervals, and confidence intervals."""

import math

import pandas

NORMAL_95 = 1.96  # standard errors on each side of a 95% normal interval


def merged(*tables: pandas.DataFrame) -> list[tuple[float, float]]:
    """Merge intervals that overlap, in order of time.

    Args:
        tables: with columns ``began`` and ``ended``
    """
    every = sorted(
        (float(began), float(ended))
        for table in tables
        for began, ended in zip(table["began"], table["ended"], strict=True)
    )
    union: list[tuple[float, float]] = []
    for began, ended in every:
        if union and began <= union[-1][1]:
            union[-1] = union[-1][0], max(union[-1][1], ended)
        else:
            union.append((began, ended))
    return union


def normal_interval(mean: float, stderr: float, bound: float = math.inf) -> tuple[float, float]:
    """Return the 95% interval of a normally distributed mean.

    The part of it that is impossible is cut off, which leaves its coverage as it is.

    Args:
        mean: estimate of the mean
        stderr: its standard error
        bound: largest absolute value that the mean can have
    """
    return max(mean - NORMAL_95 * stderr, -bound), min(mean + NORMAL_95 * stderr, bound)
