"""Sampling of trials where a browser could not move all marks."""

from dataclasses import replace

import numpy

from ugro.analysis.figures.study_view import StudyView, study_view

MOST = 2000  # trials
BEST = 0.1  # share of these reserved for the best trials


def downsampled(view: StudyView, most: int = MOST) -> StudyView:
    """Reduce a study to at most ``most`` trials.

    Kept are the best trials, the baseline, each trial that was the best when it came, so that the
    line of the best stays true, and others at random.
    """
    if len(view.trials) <= most:
        return view
    values = view.trials["value"].dropna()
    ranked = values.sort_values(ascending=view.minimised, kind="stable").index
    kept = dict.fromkeys([*ranked[: int(BEST * most)], *view.improvements(values).index])
    kept |= dict.fromkeys(one for one in (view.baseline,) if one is not None)
    rest = view.trials.index.difference(list(kept))
    some = numpy.random.default_rng(0).permutation(rest)[: max(0, most - len(kept))]
    chosen = sorted([*kept, *map(int, some)])
    tables = view.tables
    fewer = replace(
        tables,
        trials=tables.trials.loc[chosen],
        reports=tables.reports[tables.reports["number"].isin(chosen)],
    )
    return study_view(fewer, view.importances)


def sampling_note(all_trials: StudyView, part: StudyView) -> str:
    """State which trials are drawn; empty where all are."""
    if len(part.trials) == len(all_trials.trials):
        return ""
    return (
        f"Of {len(all_trials.trials):,} trials the figures draw {len(part.trials):,}: the best "
        f"{int(BEST * len(part.trials)):,}, each that was the best when it came, and a random "
        "sample of the others. The table has all of them."
    )
