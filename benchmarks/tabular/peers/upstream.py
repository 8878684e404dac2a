"""How does hydra-optuna-sweeper search? A model of it; real_time.py checks it against the plugins.

It asks for a batch, waits for all of it and then tells; no trial is ever stopped.
"""

import optuna
from optuna.trial import TrialState

from ..curves import Problem, plain
from ..plans import space
from ..trace import Trace
from .clock import Playing


def in_batches(problem: Problem, slots: int, trials: int, seed: int) -> Trace:
    """As its TPE with ``n_jobs`` equal to the slots.

    Its configuration switches off what Optuna 5 has come to switch on.
    """
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False, constant_liar=False)
    study = optuna.create_study(sampler=sampler)
    trace, now = Trace(slots), 0.0
    for first in range(0, trials, slots):
        asked = [study.ask() for _ in range(min(slots, trials - first))]
        ends = []
        for trial in asked:
            for key, over in space().items():
                trial._suggest(key, over)  # as it does
            one = Playing(trial.number, problem.curve(plain(trial.params), seed), now)
            one.told = len(one.curve.losses) - 1
            ends.append(one.next_at())
            one.told += 1
            trace.trials.append(one.traced(ends[-1], one.value()))
        for trial, ended in zip(asked, trace.trials[-len(asked) :], strict=True):
            state = None if ended.value is not None else TrialState.FAIL
            study.tell(trial, ended.value, state=state)
        now = max(ends)
    trace.trials.sort(key=lambda one: one.ended)
    return trace
