"""How well the values of trials at a quarter of their length predict their ranks at the end."""

from collections.abc import Mapping

EARLY_SHARE = 0.25  # of a trial's tokens at which its early value is read, at the latest
MIN_TRIALS = 8


def rank_agreement(early: Mapping[int, float], final: Mapping[int, float]) -> float | None:
    """Return Spearman's rank correlation between early and final values.

    Args:
        early: early values by trial
        final: final values by trial; trials without an early value are left out

    Returns:
        The correlation; None with fewer than ``MIN_TRIALS`` trials or equal values.
    """
    import pandas  # slow to import

    ranks = pandas.DataFrame({"early": early, "final": final}).dropna().rank()
    if len(ranks) < MIN_TRIALS or (ranks.nunique() < 2).any():
        return None
    return float(ranks["early"].corr(ranks["final"]))
