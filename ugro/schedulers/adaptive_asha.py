"""ASHA with a grace period that adapts to how well early ranks predict final ranks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy
from scipy.stats import kendalltau

from ugro.schedulers.base import CONTINUE, STOP, Handle
from ugro.schedulers.rungs import Rung, Rungs


@dataclass(frozen=True)
class Record:
    """Result of a trial at a rung."""

    value: float  # smaller is better
    seconds: float  # since the trial started


class AdaptiveASHA:
    """ASHA (Li et al. 2020, arXiv:1810.05934) with an adaptive grace period.

    Rungs are at ``grace_period * reduction_factor ** k`` below ``max_t``. Every trial is recorded
    at every rung that it passes. The grace period is the first rung that may stop a trial. Before
    it every trial continues; from it on a trial stops if it is behind the best
    ``1 / reduction_factor`` of the trials recorded before it at the rung.

    Two estimates are made for each rung k:

    - theta_k, its precision: Kendall's rank correlation between the values of trials at rung k and
      at the last later level with at least ``min_pairs`` of the same trials. This level is the
      middle rung or beyond, ``max_t`` included, as neighbouring early rungs always agree. PASHA
      (Bohdal et al. 2023, arXiv:2207.06940) uses the agreement of ranks between rungs similarly.
    - n_k, its economy: the number of trials that the seconds of a full trial pay for if all but the
      best ``1 / reduction_factor`` stop there. A stopped trial costs its elapsed seconds, loading
      included; if loading dominates, n_k is near 1 at every rung.

    The grace period is the rung with the largest theta_k * n_k among those with theta_k of at least
    ``min_correlation``, as Hyper-Tune (Li et al. 2022, arXiv:2201.06834) chooses its brackets. It
    is the last rung if no estimate reaches ``min_correlation``, and the middle rung while there are
    no estimates.

    Only surviving trials are known at later levels. Their ranks are harder to predict than those of
    all trials, so theta favours a longer grace period, which stops fewer trials. Whether a stopped
    trial would have recovered remains unknown.
    """

    def __init__(
        self,
        time_attr: str,
        metric: str,
        mode: str,
        max_t: float,
        grace_period: float,
        reduction_factor: float,
        min_correlation: float,
        min_pairs: int,
    ) -> None:
        self._time_attr = time_attr
        self._metric = metric
        self._sign = 1.0 if mode == "min" else -1.0
        self._max_t = max_t
        self._keep = 1 / reduction_factor
        self._min_correlation = min_correlation
        self._min_pairs = min_pairs
        self._rungs: Rungs[Record] = Rungs(grace_period, reduction_factor, max_t)
        self._end: Rung[Record] = Rung(max_t)  # a level to predict, where no trial is stopped

    @property
    def grace_period_now(self) -> float:
        """First level at which a trial may be stopped; ``max_t`` without rungs."""
        rungs = self._rungs.rungs
        return rungs[self._grace()].level if rungs else self._max_t

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Do nothing: a trial is registered by its first result."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Record the trial at each rung that it has reached and decide at the last of them."""
        now = (self._sign * result[self._metric], result["elapsed_seconds"])
        decision = CONTINUE
        resource = result[self._time_attr]
        for rung, (value, seconds) in self._rungs.passed(trial.trial_id, resource, now):
            behind = self._behind(rung, value)
            rung.recorded[trial.trial_id] = Record(value, seconds)
            may_stop = rung.level >= self.grace_period_now
            decision = STOP if behind and may_stop else CONTINUE
        if resource >= self._max_t * (1 - 1e-9):
            self._end.recorded[trial.trial_id] = Record(*now)
        return decision

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """Forget the trial's last result; its records at the rungs remain."""
        self._rungs.forget(trial.trial_id)

    def debug_string(self) -> str:
        """Describe the rungs: their number of trials and rank correlation."""
        rungs = [
            f"{rung.level:g}: {len(rung.recorded)} trials, "
            + ("unknown" if (theta := self._correlation(index)) is None else f"tau {theta:.2f}")
            for index, rung in enumerate(self._rungs.rungs)
        ]
        return f"AdaptiveASHA: grace period {self.grace_period_now:g} | " + " | ".join(rungs)

    def _behind(self, rung: Rung[Record], value: float) -> bool:
        if not rung.recorded:
            return False
        values = [record.value for record in rung.recorded.values()]
        return bool(value > numpy.nanpercentile(values, 100 * self._keep))

    def _grace(self) -> int:
        """Return the index of the first rung that may stop a trial."""
        rungs = self._rungs.rungs
        estimates = {
            index: theta
            for index in range(len(rungs))
            if (theta := self._correlation(index)) is not None
        }
        if not estimates:
            return len(rungs) // 2
        trusted = {k: theta for k, theta in estimates.items() if theta >= self._min_correlation}
        if not trusted:
            return len(rungs) - 1
        return max(trusted, key=lambda index: (trusted[index] * self._afforded(index), -index))

    def _correlation(self, index: int) -> float | None:
        """Estimate theta of a rung; None with too few trials."""
        levels = [*self._rungs.rungs, self._end]
        rung, middle = levels[index], len(self._rungs.rungs) // 2
        for other in reversed(levels[max(index + 1, middle) :]):
            both = [
                trial
                for trial, record in rung.recorded.items()
                if trial in other.recorded
                and not numpy.isnan([record.value, other.recorded[trial].value]).any()
            ]
            if len(both) >= self._min_pairs:
                early = [rung.recorded[trial].value for trial in both]
                late = [other.recorded[trial].value for trial in both]
                tau = float(kendalltau(early, late).statistic)
                return 0.0 if numpy.isnan(tau) else max(0.0, tau)
        return None

    def _afforded(self, index: int) -> float:
        """Estimate how many trials the seconds of a full trial pay for if a rung decides."""
        levels = [*self._rungs.rungs, self._end]
        rung, later = levels[index], levels[index + 1]
        shares = [spent / full for spent, full in self._seconds(rung, later) if full > 0]
        share = median(shares) if shares else rung.level / self._max_t
        return 1 / (self._keep + (1 - self._keep) * share)

    def _seconds(self, rung: Rung[Record], later: Rung[Record]) -> Iterator[tuple[float, float]]:
        """Yield seconds at the rung and, extrapolated from the next level, at ``max_t``."""
        for trial, record in rung.recorded.items():
            if trial in later.recorded:
                pace = (later.recorded[trial].seconds - record.seconds) / (later.level - rung.level)
                yield record.seconds, record.seconds + pace * (self._max_t - rung.level)
