"""Would one of the best so far have been stopped here, too? If so, a trial goes on."""

import math
from collections.abc import Mapping
from typing import Any

from ugro.schedulers.protocol import CONTINUE, STOP, Handle
from ugro.schedulers.rungs import UP_TO_ROUNDING, Rungs


class Hindsight:
    """Stops a trial that is behind where each of the best complete trials was.

    Rungs stand at ``grace_period * reduction_factor ** k`` below ``max_t``. At a rung a trial is
    held against the ``best`` complete trials, the best in the end and not at the rung: it stops if
    it is behind all of them there. Whoever comes from behind, be it for its learning rate or for
    noise, so keeps the way open for others like it; where early ranks hold, the bar is as high as
    that of successive halving. ASHA (Li et al. 2020, arXiv:1810.05934) in contrast compares with
    all that were at the rung, and cannot tell that it stops what would have won.

    Only whole trials teach this. The first ``whole_trials`` are not stopped: they are the ones
    that a model-based sampler draws at random. Of those after them every ``spared``-th is not
    stopped either: what the best so far look like would else never change.

    Bars from past curves are also what the curve stopping rule of Google Vizier (Golovin et al.
    2017, doi:10.1145/3097983.3098043) builds, from all complete trials and by regression.
    """

    def __init__(
        self,
        time_attr: str,
        metric: str,
        mode: str,
        max_t: float,
        grace_period: float,
        reduction_factor: float,
        whole_trials: int,
        spared: int | None,
        best: int,
    ) -> None:
        self._time_attr = time_attr
        self._metric = metric
        self._sign = 1.0 if mode == "min" else -1.0
        self._max_t = max_t
        self._whole_trials = whole_trials
        self._spared = spared
        self._count = best
        self._rungs: Rungs[float] = Rungs(grace_period, reduction_factor, max_t)
        self._order: dict[str, int] = {}  # of the first results
        self._lowest: dict[str, float] = {}  # what each has come to
        self._complete: set[str] = set()

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Nothing: trials are known by their results."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Record what the trial had at the rungs it has come to; decide at the last of them."""
        one, value = trial.trial_id, self._sign * result[self._metric]
        self._order.setdefault(one, len(self._order))
        if not math.isnan(value):
            self._lowest[one] = min(value, self._lowest.get(one, math.inf))
        decision, resource = CONTINUE, result[self._time_attr]
        for rung, (there,) in self._rungs.passed(one, resource, [value]):
            bar = self._bar(rung.recorded)
            rung.recorded[one] = there
            behind = bar is not None and not there <= bar  # no number is behind
            decision = STOP if behind and self._may_stop(one) else CONTINUE
        if resource >= self._max_t * UP_TO_ROUNDING:
            self._complete.add(one)
        return decision

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """A trial is over; what it has recorded stays."""
        self._rungs.forget(trial.trial_id)

    def debug_string(self) -> str:
        """The rungs with their bars."""
        bars = [
            f"{rung.level:g}: "
            + ("none" if (bar := self._bar(rung.recorded)) is None else f"{self._sign * bar:g}")
            for rung in self._rungs.rungs
        ]
        return f"Hindsight: {len(self._complete)} complete | " + " | ".join(bars)

    def _may_stop(self, trial: str) -> bool:
        later = self._order[trial] - self._whole_trials + 1  # 1: the first that may be stopped
        return later > 0 and (self._spared is None or later % self._spared != 0)

    def _bar(self, recorded: Mapping[str, float]) -> float | None:
        """The worst value at a rung of the best complete trials; None while there are too few."""
        known = [one for one in recorded if one in self._complete and one in self._lowest]
        if len(known) <= self._count:
            return None
        known.sort(key=lambda one: self._lowest[one])
        at = [recorded[one] for one in known[: self._count] if not math.isnan(recorded[one])]
        return max(at, default=None)
