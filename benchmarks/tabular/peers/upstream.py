"""A model of hydra-optuna-sweeper, checked by real_time.py against the plugins.

It proposes a batch, waits for all of it and records the results; trials are never stopped.
"""

import optuna
from optuna.trial import TrialState

from ..curves import Problem, plain
from ..plans import space
from ..trace import Trace
from .clock import RunningTrial


def in_batches(problem: Problem, slots: int, trials: int, seed: int) -> Trace:
    """Search with its TPE and ``n_jobs`` equal to the slots.

    Its configuration disables options that Optuna 5 enables by default.
    """
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False, constant_liar=False)
    study = optuna.create_study(sampler=sampler)
    trace, now = Trace(slots), 0.0
    for first in range(0, trials, slots):
        asked = [study.ask() for _ in range(min(slots, trials - first))]
        ends = []
        for trial in asked:
            for key, over in space().items():
                trial._suggest(key, over)  # as upstream does
            running = RunningTrial(trial.number, problem.curve(plain(trial.params), seed), now)
            running.reported = len(running.curve.losses) - 1
            ends.append(running.next_at())
            running.reported += 1
            trace.trials.append(running.traced(ends[-1], running.value()))
        for trial, ended in zip(asked, trace.trials[-len(asked) :], strict=True):
            state = None if ended.value is not None else TrialState.FAIL
            study.tell(trial, ended.value, state=state)
        now = max(ends)
    trace.trials.sort(key=lambda running: running.ended)
    return trace
