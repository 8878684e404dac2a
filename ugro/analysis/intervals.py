"""Unions of time intervals."""

import pandas


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
