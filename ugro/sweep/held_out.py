"""Measure the best trial and the baseline on the test part, once, when a study has ended."""

import logging
from collections.abc import Callable, Mapping

from hydra.core.utils import JobStatus
from optuna.trial import FrozenTrial, TrialState

from ugro.events.events import EventStream, TestMeasured
from ugro.events.trial_report import TrialResult
from ugro.executors.executor import ConstantListener, Executor, Task
from ugro.retries import one_line, retrying
from ugro.shell import override
from ugro.study.storage import is_trouble
from ugro.study.study import Study, metrics, source
from ugro.sweep.plan import Plan

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
# A task that trains nothing and leaves the trial's own configuration as it is.
MEASURE = {"study.measure_test": True, "hydra.output_subdir": None}


def measure_winner(
    plan: Plan, study: Study, slots: Executor, events: EventStream, interrupted: Callable[[], bool]
) -> None:
    """Have the best trial and the baseline measured where that was not done before.

    The test part chooses neither checkpoint nor trial, so what it says of the best is not flattered
    by the search. Where it cannot be measured the log says why; the same command again tries anew.

    Args:
        plan: of the study
        study: its record, which keeps the results
        slots: where trials run
        events: hears of each result
        interrupted: whether somebody wants the sweep to end
    """
    left = {trial.number: trial for trial in _winners(study) if trial.number not in study.tests()}
    for trial in left.values():
        slots.submit(_task(plan, trial))
    listener = ConstantListener(continues=True, is_interrupted=interrupted)
    while left and not interrupted():
        done = slots.wait(listener, LOOK_SECONDS)
        if done is None:
            continue
        number, job = done
        del left[number]
        returned = job._return_value
        if job.status is not JobStatus.COMPLETED or not isinstance(returned, TrialResult):
            why = one_line(returned)
            log.warning("Trial %d could not be measured on the test part: %s", number, why)
            continue
        _keep(study, number, returned.metrics)
        events.emit(TestMeasured(number, returned.metrics))


def _winners(study: Study) -> list[FrozenTrial]:
    """The best trial and the baseline, as far as they hold out a test part."""
    baseline = [one for one in study.finished() if source(one) == "baseline"]
    complete = [one for one in baseline if one.state is TrialState.COMPLETE]
    best = study.best()
    winners = {one.number: one for one in ([best] if best else []) + complete}
    return [one for one in winners.values() if metrics(one).get("test_tokens")]


def _task(plan: Plan, trial: FrozenTrial) -> Task:
    shared, values = plan.feasible.composer.shared(trial.params)
    overrides = plan.feasible.space.overrides(trial.params)
    own = [override(key, value) for key, value in MEASURE.items()]
    heartbeat = plan.config.study.heartbeat_seconds
    return Task(
        trial.number,
        [*overrides, *own],
        shared,
        {**values, **MEASURE},
        None,
        float("inf"),
        heartbeat,
    )


def _keep(study: Study, number: int, measured: Mapping[str, float]) -> None:
    retrying(is_trouble, "The study's record cannot be written")(study.tested, number, measured)
