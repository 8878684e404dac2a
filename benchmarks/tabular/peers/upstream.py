"""A model of hydra-optuna-sweeper, checked by real_time.py against the plugins.

It proposes a batch, waits for all of it and records the results; trials are never stopped.
"""

import optuna
from optuna.trial import TrialState

from ..budget import Budget, Seeds
from ..curves import Problem, plain
from ..plans import space
from ..trace import Trace
from .clock import RunningTrial


def in_batches(problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
    """Search with its TPE and ``n_jobs`` equal to the slots.

    Its configuration disables options that Optuna 5 enables by default.
    """
    sampler = optuna.samplers.TPESampler(seed=seeds.method, multivariate=False, constant_liar=False)
    study = optuna.create_study(sampler=sampler)
    trace, now = Trace(slots, budget.hours), 0.0
    while now < budget.hours and len(trace.trials) < budget.trials:
        asked = [study.ask() for _ in range(min(slots, budget.trials - len(trace.trials)))]
        batch = []
        for trial in asked:
            for key, over in space().items():
                trial._suggest(key, over)  # as upstream does
            running = RunningTrial(
                trial.number, problem.curve(plain(trial.params), seeds.noise), now
            )
            running.reported = len(running.curve.losses) - 1
            ended = running.next_at()
            running.reported += 1
            batch.append(running.traced(ended, running.value()))
        for trial, traced in zip(asked, batch, strict=True):
            state = None if traced.value is not None else TrialState.FAIL
            study.tell(trial, traced.value, state=state)
        trace.trials.extend(batch)
        now = max(traced.ended for traced in batch)
    return trace
