"""Which trials are drawn? All of them, unless a browser could not move so many marks."""

from dataclasses import replace

import numpy

from ugro.analysis.pictures.subject import Subject, subject_of

MOST = 2000  # trials
BEST = 0.1  # of these, the best ones


def drawn(subject: Subject, most: int = MOST) -> Subject:
    """The study with at most so many trials.

    Those are the best, the baseline, each that was the best when it came, so that the line of the
    best is the true one, and others drawn evenly.
    """
    if len(subject.trials) <= most:
        return subject
    values = subject.trials["value"].dropna()
    ranked = values.sort_values(ascending=subject.minimised, kind="stable").index
    kept = dict.fromkeys([*ranked[: int(BEST * most)], *subject.improvements(values).index])
    kept |= dict.fromkeys(one for one in (subject.baseline,) if one is not None)
    rest = subject.trials.index.difference(list(kept))
    some = numpy.random.default_rng(0).permutation(rest)[: max(0, most - len(kept))]
    chosen = sorted([*kept, *map(int, some)])
    tables = subject.tables
    fewer = replace(
        tables,
        trials=tables.trials.loc[chosen],
        reports=tables.reports[tables.reports["number"].isin(chosen)],
    )
    return subject_of(fewer, subject.importances)


def told(whole: Subject, part: Subject) -> str:
    """What is not drawn; empty where all is."""
    if len(part.trials) == len(whole.trials):
        return ""
    return (
        f"Of {len(whole.trials):,} trials the figures draw {len(part.trials):,}: the best "
        f"{int(BEST * len(part.trials)):,}, each that was the best when it came, and others drawn "
        "evenly. The table has all of them."
    )
