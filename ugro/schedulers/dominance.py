"""Successive halving with several objectives, by non-dominated sorting."""

from collections.abc import Mapping
from typing import Any

import numpy

from ugro.schedulers.base import CONTINUE, STOP, Handle
from ugro.schedulers.rungs import Rungs

Values = tuple[float, ...]


class DominanceScheduler:
    """Multi-objective ASHA: asynchronous successive halving by non-dominated sorting.

    A trial stops at a rung if trials of better fronts already fill the share
    ``1 / reduction_factor`` of those recorded there, itself included. Trials of the same front rank
    equally. A non-dominated trial always continues. NaN counts as infinity. With one objective and
    no ties the best ``1 / reduction_factor`` continue.

    Source: Schmucker et al. 2021, arXiv:2106.12639.
    """

    def __init__(
        self,
        time_attr: str,
        max_t: float,
        grace_period: float,
        reduction_factor: float,
        **_: Any,
    ) -> None:
        self._time_attr = time_attr
        self._keep = 1 / reduction_factor
        self._rungs: Rungs[Values] = Rungs(grace_period, reduction_factor, max_t)

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Do nothing: a trial is registered by its first result."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Record the trial at each rung that it has reached and decide at the last of them."""
        decision = CONTINUE
        resource, now = result[self._time_attr], result["values"]
        for rung, values in self._rungs.passed(trial.trial_id, resource, now):
            rung.recorded[trial.trial_id] = values
            front = fronts(list(rung.recorded.values()))
            better = sum(rank < front[-1] for rank in front)  # the last rank is this trial's
            decision = STOP if better >= max(1.0, self._keep * len(front)) else CONTINUE
        return decision

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """Forget the trial's last result; its records at the rungs remain."""
        self._rungs.forget(trial.trial_id)


def fronts(points: list[Values]) -> list[int]:
    """Return the index of each point's front, 0 if non-dominated (NSGA-II, Deb et al. 2002).

    Args:
        points: minimised objectives of each trial, [trials, objectives]
    """
    values = numpy.nan_to_num(
        numpy.asarray(points), nan=numpy.inf, posinf=numpy.inf, neginf=-numpy.inf
    )
    no_worse = numpy.asarray((values[:, None] <= values).all(axis=2))  # [trial, other]
    dominates = no_worse & ~no_worse.T
    dominators = dominates.sum(axis=0)  # remaining dominators of each trial, [trial]
    ranks = [-1] * len(points)
    front = 0
    while -1 in ranks:
        best = [i for i, rank in enumerate(ranks) if rank < 0 and not dominators[i]]
        for index in best:
            ranks[index] = front
        dominators -= dominates[best].sum(axis=0)
        front += 1
    return ranks
