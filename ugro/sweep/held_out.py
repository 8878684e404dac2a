"""Evaluation of the best trial and the baseline on the test part after a study."""

import logging
from collections.abc import Callable, Mapping

from hydra.core.utils import JobStatus
from optuna.trial import FrozenTrial, TrialState

from ugro.events.channel import Answer
from ugro.events.events import EventStream, TestMeasured
from ugro.events.trial_report import TrialResult
from ugro.executors.executor import ConstantListener, Executor, Task
from ugro.retries import one_line, retrying
from ugro.shell import override
from ugro.study.storage import is_trouble
from ugro.study.study import Study
from ugro.study.trial_record import metrics, source
from ugro.sweep.plan import Plan

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
# The task does not train and does not overwrite the trial's configuration.
MEASURE = {"study.measure_test": True, "hydra.output_subdir": None}


def measure_winner(
    plan: Plan,
    study: Study,
    executor: Executor,
    events: EventStream,
    interrupted: Callable[[], bool],
) -> None:
    """Measure the best trial and the baseline on the test part unless this was done before.

    The test part selects neither checkpoints nor trials, so the search does not bias its result.
    A failed measurement is logged; the same command tries it again.

    Args:
        plan: plan of the study
        study: the study, which keeps the results
        executor: runs the tasks
        events: receives each result
        interrupted: whether the user has requested the end of the sweep
    """
    pending = {
        trial.number: trial for trial in _winners(study) if trial.number not in study.tests()
    }
    for trial in pending.values():
        executor.submit(_task(plan, trial))
    listener = ConstantListener(Answer.CONTINUE, is_interrupted=interrupted)
    while pending and not interrupted():
        done = executor.wait(listener, POLL_SECONDS)
        if done is None:
            continue
        number, job = done
        del pending[number]
        returned = job._return_value
        if job.status is not JobStatus.COMPLETED or not isinstance(returned, TrialResult):
            reason = one_line(returned)
            log.warning("Trial %d could not be measured on the test part: %s", number, reason)
            continue
        _keep(study, number, returned.metrics)
        events.emit(TestMeasured(number, returned.metrics))


def _winners(study: Study) -> list[FrozenTrial]:
    """Return the best trial and the baseline, if they hold out a test part."""
    baseline = [
        trial
        for trial in study.finished()
        if source(trial) == "baseline" and trial.state is TrialState.COMPLETE
    ]
    best = study.best()
    winners = {trial.number: trial for trial in ([best] if best else []) + baseline}
    return [trial for trial in winners.values() if metrics(trial).get("test_tokens")]


def _task(plan: Plan, trial: FrozenTrial) -> Task:
    shared, values = plan.feasible.composer.shared(trial.params)
    overrides = plan.feasible.space.overrides(trial.params)
    measure = [override(key, value) for key, value in MEASURE.items()]
    heartbeat = plan.config.study.heartbeat_seconds
    return Task(
        trial.number,
        [*overrides, *measure],
        shared,
        {**values, **MEASURE},
        None,
        float("inf"),
        heartbeat,
    )


def _keep(study: Study, number: int, measured: Mapping[str, float]) -> None:
    retrying(is_trouble, "The study's record cannot be written")(study.tested, number, measured)
