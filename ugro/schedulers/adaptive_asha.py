"""How early may a trial be judged? As early as the study so far has shown to be worth it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy
from scipy.stats import kendalltau

from ugro.schedulers.base import CONTINUE, STOP, Handle
from ugro.schedulers.rungs import Rung, Rungs


@dataclass(frozen=True)
class Seen:
    """A trial at a rung."""

    value: float  # smaller is better
    seconds: float  # since it was started


class AdaptiveASHA:
    """ASHA (Li et al. 2020, arXiv:1810.05934) with a grace period that follows the evidence.

    Rungs stand at ``grace_period * reduction_factor ** k`` below ``max_t``. Every trial is recorded
    at every rung that it passes. The grace period is the first rung that may stop a trial; before
    it trials go on whatever they have, from it on ASHA decides: a trial stops if at its rung it is
    behind the best ``1 / reduction_factor`` of those recorded before it.

    For each rung k the study so far gives

    - theta_k, how well it predicts: Kendall's rank correlation between the values that trials had
      at rung k and those that the same trials had at the farthest later level with ``min_pairs``
      of them, the middle rung or beyond, ``max_t`` included: early neighbours agree whatever
      comes later. PASHA (Bohdal et al. 2023, arXiv:2207.06940) steers the resource by the
      agreement of ranks between rungs in this manner.
    - n_k, how many trials a whole trial's seconds pay for if all but the best
      ``1 / reduction_factor`` stop there. A stopped trial costs the seconds that have passed,
      loading included; where loading is most of a trial, n_k is near 1 at every rung.

    The grace period is the rung with the largest theta_k * n_k of those with theta_k of
    ``min_correlation`` or more: precision times cheapness, as Hyper-Tune (Li et al. 2022,
    arXiv:2201.06834) chooses its brackets. If ranks are known and none reaches
    ``min_correlation``, it is the last rung; while nothing is known, the middle one.

    Only trials that went on are known at later levels. Ranks among survivors are harder to predict
    than among all, so theta errs on the side of a longer grace period, in which fewer are stopped.
    It cannot tell that a trial which it stopped would have come from behind.
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
        self._rungs: Rungs[Seen] = Rungs(grace_period, reduction_factor, max_t)
        self._end: Rung[Seen] = Rung(max_t)  # tells how well rungs predict, stops nobody

    @property
    def grace_period_now(self) -> float:
        """The first level at which a trial may be stopped; ``max_t`` where there are no rungs."""
        rungs = self._rungs.rungs
        return rungs[self._grace()].level if rungs else self._max_t

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Nothing: trials are known by their results."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Record what the trial had at the rungs it has come to; decide at the last of them."""
        now = (self._sign * result[self._metric], result["elapsed_seconds"])
        decision = CONTINUE
        resource = result[self._time_attr]
        for rung, (value, seconds) in self._rungs.passed(trial.trial_id, resource, now):
            behind = self._behind(rung, value)
            rung.recorded[trial.trial_id] = Seen(value, seconds)
            may_stop = rung.level >= self.grace_period_now
            decision = STOP if behind and may_stop else CONTINUE
        if resource >= self._max_t * (1 - 1e-9):
            self._end.recorded[trial.trial_id] = Seen(*now)
        return decision

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """A trial is over; what it has recorded stays."""
        self._rungs.forget(trial.trial_id)

    def debug_string(self) -> str:
        """The rungs, how many trials they know and how well they predict."""
        told = [
            f"{rung.level:g}: {len(rung.recorded)} trials, "
            + ("unknown" if (theta := self._correlation(index)) is None else f"tau {theta:.2f}")
            for index, rung in enumerate(self._rungs.rungs)
        ]
        return f"AdaptiveASHA: grace period {self.grace_period_now:g} | " + " | ".join(told)

    def _behind(self, rung: Rung[Seen], value: float) -> bool:
        if not rung.recorded:
            return False
        known = [seen.value for seen in rung.recorded.values()]
        return bool(value > numpy.nanpercentile(known, 100 * self._keep))

    def _grace(self) -> int:
        """The index of the first rung that may stop a trial."""
        rungs = self._rungs.rungs
        known = {
            index: theta
            for index in range(len(rungs))
            if (theta := self._correlation(index)) is not None
        }
        if not known:
            return len(rungs) // 2
        trusted = {k: theta for k, theta in known.items() if theta >= self._min_correlation}
        if not trusted:
            return len(rungs) - 1
        return max(trusted, key=lambda index: (trusted[index] * self._afforded(index), -index))

    def _correlation(self, index: int) -> float | None:
        """theta of a rung; None where too few trials tell."""
        levels = [*self._rungs.rungs, self._end]
        rung, middle = levels[index], len(self._rungs.rungs) // 2
        for other in reversed(levels[max(index + 1, middle) :]):
            both = [
                trial
                for trial, seen in rung.recorded.items()
                if trial in other.recorded
                and not numpy.isnan([seen.value, other.recorded[trial].value]).any()
            ]
            if len(both) >= self._min_pairs:
                early = [rung.recorded[trial].value for trial in both]
                late = [other.recorded[trial].value for trial in both]
                tau = float(kendalltau(early, late).statistic)
                return 0.0 if numpy.isnan(tau) else max(0.0, tau)
        return None

    def _afforded(self, index: int) -> float:
        """How many trials the seconds of a whole one pay for, if a rung decides."""
        levels = [*self._rungs.rungs, self._end]
        rung, later = levels[index], levels[index + 1]
        shares = [passed / whole for passed, whole in self._seconds(rung, later) if whole > 0]
        share = median(shares) if shares else rung.level / self._max_t
        return 1 / (self._keep + (1 - self._keep) * share)

    def _seconds(self, rung: Rung[Seen], later: Rung[Seen]) -> Iterator[tuple[float, float]]:
        """Seconds at the rung and, by the pace to the next level, at ``max_t``."""
        for trial, seen in rung.recorded.items():
            if trial in later.recorded:
                pace = (later.recorded[trial].seconds - seen.seconds) / (later.level - rung.level)
                yield seen.seconds, seen.seconds + pace * (self._max_t - rung.level)
