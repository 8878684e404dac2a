"""Which trials go on if there are several objectives? Those that few others dominate."""

from collections.abc import Mapping
from typing import Any

import numpy

from ugro.schedulers.base import CONTINUE, STOP, Handle
from ugro.schedulers.rungs import Rungs

Values = tuple[float, ...]


class DominanceScheduler:
    """Asynchronous successive halving by non-dominated sorting.

    At a rung a trial stops if the share ``1 / reduction_factor`` of those recorded there, itself
    included, is already filled by trials of better fronts; within a front nobody is preferred. A
    trial that none dominates always goes on; what is no number counts as infinite. With one
    objective and no ties this keeps the best ``1 / reduction_factor``. Multi-objective ASHA:
    Schmucker et al. 2021, arXiv:2106.12639.
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
        """Nothing: trials are known by their results."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Record what the trial had at the rungs it has come to; decide at the last of them."""
        decision = CONTINUE
        resource, now = result[self._time_attr], result["values"]
        for rung, values in self._rungs.passed(trial.trial_id, resource, now):
            rung.recorded[trial.trial_id] = values
            front = fronts(list(rung.recorded.values()))
            better = sum(one < front[-1] for one in front)  # the last one is this trial's
            decision = STOP if better >= max(1.0, self._keep * len(front)) else CONTINUE
        return decision

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """A trial is over; what it has recorded stays."""
        self._rungs.forget(trial.trial_id)


def fronts(every: list[Values]) -> list[int]:
    """The front of each, 0 for what none dominates (Deb et al. 2002, NSGA-II)."""
    values = numpy.nan_to_num(
        numpy.asarray(every), nan=numpy.inf, posinf=numpy.inf, neginf=-numpy.inf
    )
    nowhere_worse = numpy.asarray((values[:, None] <= values).all(axis=2))  # [trial, other]
    dominating = nowhere_worse & ~nowhere_worse.T
    by_how_many = dominating.sum(axis=0)
    found = [-1] * len(every)
    front = 0
    while -1 in found:
        best = [i for i, known in enumerate(found) if known < 0 and not by_how_many[i]]
        for index in best:
            found[index] = front
        by_how_many -= dominating[best].sum(axis=0)
        front += 1
    return found
