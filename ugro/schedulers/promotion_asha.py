"""ASHA as published: trials are paused at rungs, and promoted when they are good enough."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ugro.schedulers.base import CONTINUE, PAUSE, Handle
from ugro.schedulers.rungs import Rung, Rungs


class PromotionASHA:
    """Asynchronous successive halving by promotion (Li et al. 2020, arXiv:1810.05934).

    Rungs are at ``grace_period * reduction_factor ** k`` below ``max_t``. A trial is recorded and
    paused at each rung. At a free slot the highest rung is chosen that has a promotable trial, one
    that is paused there and among the best ``1 / reduction_factor`` of all trials recorded there,
    and the best of these resumes; otherwise a new trial starts. A trial that would be chosen at
    once continues, which saves its restart.

    Unlike ASHA that stops trials, as Ray Tune's, it never discards a trial: one that was paused
    among few others is promoted as soon as enough of those that follow are worse.

    If no new trial can start and none is running, at least the best of each rung is promoted, as by
    successive halving of a fixed number of trials (Jamieson and Talwalkar 2016, arXiv:1502.07943).
    Trials with NaN are recorded but never promoted.
    """

    def __init__(
        self,
        time_attr: str,
        metric: str,
        mode: str,
        max_t: float,
        grace_period: float,
        reduction_factor: float,
    ) -> None:
        self._time_attr = time_attr
        self._metric = metric
        self._sign = 1.0 if mode == "min" else -1.0
        self._factor = reduction_factor
        self._rungs: Rungs[float] = Rungs(grace_period, reduction_factor, max_t)
        self._paused: set[str] = set()

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Do nothing: a trial is registered by its first result."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Record the trial at each rung that it has reached; pause it unless it is promoted."""
        now = (self._sign * result[self._metric],)
        passed = list(self._rungs.passed(trial.trial_id, result[self._time_attr], now))
        for rung, (value,) in passed:
            rung.recorded[trial.trial_id] = value
        if not passed or self._promoted({*self._paused, trial.trial_id}) == trial.trial_id:
            return CONTINUE
        self._paused.add(trial.trial_id)
        return PAUSE

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """Forget the trial's last result; its records at the rungs remain."""
        self._rungs.forget(trial.trial_id)
        self._paused.discard(trial.trial_id)

    def on_trial_resume(self, trial: Handle) -> None:
        """Remove the trial from those that wait at their rung."""
        self._paused.discard(trial.trial_id)

    def choose_paused(
        self, paused: Collection[Handle], can_start: bool, is_idle: bool
    ) -> Handle | None:
        """Return the best promotable trial of the highest rung that has one."""
        at_least = 1 if is_idle and not can_start else 0
        promoted = self._promoted({trial.trial_id for trial in paused}, at_least)
        return None if promoted is None else Handle(promoted)

    def _promoted(self, waiting: Collection[str], at_least: int = 0) -> str | None:
        """Return the trial that is promoted next.

        Args:
            waiting: trials that may be promoted from the highest rung where they are recorded
            at_least: number of trials to promote from a rung, however few it holds
        """
        above: set[str] = set()  # trials that have passed the rung
        for rung in reversed(self._rungs.rungs):
            for trial_id in self._best(rung, at_least):
                if trial_id in waiting and trial_id not in above:
                    return trial_id
            above |= rung.recorded.keys()
        return None

    def _best(self, rung: Rung[float], at_least: int) -> Iterator[str]:
        """Yield the best ``1 / reduction_factor`` of a rung's trials, best first."""
        order = sorted(rung.recorded, key=lambda trial_id: _finite(rung.recorded[trial_id]))
        count = max(at_least, int(len(order) / self._factor))
        return (trial_id for trial_id in order[:count] if not math.isnan(rung.recorded[trial_id]))


def _finite(value: float) -> float:
    return math.inf if math.isnan(value) else value
