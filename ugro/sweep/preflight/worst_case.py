"""Search for the trial that needs most memory, and a trial step of it."""

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from optuna.distributions import BaseDistribution

from ugro.errors import UserError
from ugro.events.channel import Answer
from ugro.events.trial_report import TrialResult
from ugro.executors.executor import ConstantListener, Executor, Task
from ugro.retries import one_line
from ugro.space.feasible import FeasibleSpace, identity
from ugro.space.search_space import extreme_values

MAX_CANDIDATES = 16  # estimated at one to two seconds each
POLL_SECONDS = 1.0


def candidates(feasible: FeasibleSpace, kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List candidates for the largest trial: maxima of numbers with each combination of choices.

    Args:
        feasible: the search space
        kept: feasible samples, which replace infeasible candidates
    """
    largest = list(islice(_largest(feasible), MAX_CANDIDATES))
    allowed = [parameters for parameters in largest if not feasible.broken(parameters)]
    if len(allowed) < len(largest):
        allowed += kept[: MAX_CANDIDATES - len(allowed)]
    return allowed


def _largest(feasible: FeasibleSpace) -> Iterator[dict[str, Any]]:
    over, seen = feasible.space.distributions, set()
    for values in product(*map(_largest_values, over.values())):
        active = feasible.active(dict(zip(over, values, strict=True)))
        if (name := identity(active)) not in seen:
            yield active
        seen.add(name)


def _largest_values(over: BaseDistribution) -> list[Any]:
    values = extreme_values(over)
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return [max(values)] if numeric else values


class WorstCaseProbe:
    """Estimates of trials' memory, and a single training step.

    Args:
        feasible: the search space, configured with a temporary study folder
        executor: runs the trials
    """

    def __init__(self, feasible: FeasibleSpace, executor: Executor) -> None:
        self._feasible = feasible
        self._executor = executor
        self._number = 0

    def estimate(self, parameters: Mapping[str, Any]) -> Mapping[str, float]:
        """Estimate a trial's parameters and memory, sizes in bytes.

        Raises:
            UserError: the model cannot be created, e.g. as a path or module does not exist.
        """
        return self._run(parameters, Answer.STOP).metrics

    def run_step(self, parameters: Mapping[str, Any]) -> TrialResult:
        """Train for one step and return its measurements and data provenance.

        Raises:
            UserError: the step failed.
        """
        return self._run(parameters, Answer.CONTINUE)

    def _run(self, parameters: Mapping[str, Any], answer: Answer) -> TrialResult:
        shared, values = self._feasible.composer.shared(parameters)
        overrides = self._feasible.space.overrides(parameters)
        task = Task(self._number, overrides, shared, values, None, float("inf"))
        self._number += 1
        self._executor.submit(task)
        done, listener = None, ConstantListener(answer)
        while done is None:
            done = self._executor.wait(listener, POLL_SECONDS)
        return _measured(done[1])


def _measured(job: JobReturn) -> TrialResult:
    returned = job._return_value
    if job.status is JobStatus.COMPLETED and isinstance(returned, TrialResult):
        return returned
    if isinstance(returned, UserError):
        raise returned
    raise UserError(one_line(returned))
