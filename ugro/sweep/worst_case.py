"""Which trial of the space takes most, and would it run? Some are weighed, one is rehearsed."""

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from optuna.distributions import BaseDistribution

from ugro.errors import UserError
from ugro.events.trial_report import TrialResult
from ugro.executors.executor import ConstantListener, Executor, Task
from ugro.retries import one_line
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import corner_values

MOST = 16  # configurations that are weighed, a second or two each
LOOK_SECONDS = 1.0


def candidates(feasible: FeasibleSpace, kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Configurations of which one takes most: numbers at their greatest, with each other choice.

    Args:
        feasible: the search space
        kept: samples of it that may be run, for where the greatest may not be
    """
    found = list(islice(_greatest(feasible), MOST))
    allowed = [one for one in found if not feasible.broken(one)]
    if len(allowed) < len(found):
        allowed += kept[: MOST - len(allowed)]
    return allowed


def _greatest(feasible: FeasibleSpace) -> Iterator[dict[str, Any]]:
    over = feasible.space.distributions
    for values in product(*map(_heaviest, over.values())):
        one = dict(zip(over, values, strict=True))
        yield {key: value for key, value in one.items() if feasible.is_active(key, one)}


def _heaviest(over: BaseDistribution) -> list[Any]:
    values = corner_values(over)
    are_numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    return [max(values)] if are_numbers else values


class WorstCaseProbe:
    """Trials that say what they take; the largest one takes a step.

    Args:
        feasible: the search space, whose trials are to be found in a temporary folder
        slots: where trials run
    """

    def __init__(self, feasible: FeasibleSpace, slots: Executor) -> None:
        self._feasible = feasible
        self._slots = slots
        self._number = 0

    def weighed(self, parameters: Mapping[str, Any]) -> Mapping[str, float]:
        """What the trial would take.

        Raises:
            UserError: it cannot be told, as there is no such model or module.
        """
        return self._run(parameters, goes_on=False).metrics

    def one_step(self, parameters: Mapping[str, Any]) -> TrialResult:
        """Return what the trial took for one step, and what became of its data.

        Raises:
            UserError: the step failed.
        """
        return self._run(parameters, goes_on=True)

    def _run(self, parameters: Mapping[str, Any], goes_on: bool) -> TrialResult:
        shared, values = self._feasible.composer.shared(parameters)
        overrides = self._feasible.space.overrides(parameters)
        task = Task(self._number, overrides, shared, values, None, float("inf"))
        self._number += 1
        self._slots.submit(task)
        done, listener = None, ConstantListener(goes_on)
        while done is None:
            done = self._slots.wait(listener, LOOK_SECONDS)
        return _measured(done[1])


def _measured(job: JobReturn) -> TrialResult:
    returned = job._return_value
    if job.status is JobStatus.COMPLETED and isinstance(returned, TrialResult):
        return returned
    if isinstance(returned, UserError):
        raise returned
    raise UserError(one_line(returned))
