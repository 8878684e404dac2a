"""How do others go over a problem, on the same simulated clock?

- :func:`by_optuna`: Optuna alone, by its documented ask and tell, its pruner asked at each report
- :func:`in_batches`: a model of hydra-optuna-sweeper: it asks for a batch, waits for all of it and
  then tells; no trial is ever stopped. real_time.py checks it against the plugins themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from .curves import Curve, Problem, plain, result
from .plans import planned
from .trace import Ended, Trace


@cache
def space() -> Mapping[str, BaseDistribution]:
    """What is searched: search_space=lora as Optuna has it."""
    return planned("search_space=lora", "study.name=simulated").feasible.space.distributions


@dataclass
class _Playing:
    trial: optuna.Trial
    curve: Curve
    began: float
    told: int = 0  # reports so far

    def next_at(self) -> float:
        return self.began + self.curve.startup_hours + self.curve.hours[self.told]


def by_optuna(
    problem: Problem,
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner,
    slots: int,
    trials: int,
    seed: int,
) -> Trace:
    """A free slot gets the next trial at once; a report is an evaluation, the first number 1."""
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    trace, due, now = Trace(slots), [], 0.0

    def start() -> None:
        trial = study.ask(dict(space()))
        one = _Playing(trial, problem.curve(plain(trial.params), seed), now)
        heappush(due, (one.next_at(), trial.number, one))

    for _ in range(min(slots, trials)):
        start()
    left = trials - len(due)
    while due:
        now, _, one = heappop(due)
        pruned = False
        if one.told:
            one.trial.report(one.curve.losses[one.told], one.told)
            pruned = one.trial.should_prune()
        one.told += 1
        if not pruned and one.told < len(one.curve.losses):
            heappush(due, (one.next_at(), one.trial.number, one))
            continue
        _tell(study, trace, one, now, pruned)
        if left:
            left -= 1
            start()
    return trace


def in_batches(problem: Problem, slots: int, trials: int, seed: int) -> Trace:
    """As hydra-optuna-sweeper's TPE with ``n_jobs`` equal to the slots.

    Its configuration switches off what Optuna 5 has come to switch on.
    """
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False, constant_liar=False)
    study = optuna.create_study(sampler=sampler)
    trace, now = Trace(slots), 0.0
    for first in range(0, trials, slots):
        asked = [study.ask() for _ in range(min(slots, trials - first))]
        batch = []
        for trial in asked:
            for key, over in space().items():
                trial._suggest(key, over)  # as it does
            batch.append(_Playing(trial, problem.curve(plain(trial.params), seed), now))
        for one in batch:
            one.told = len(one.curve.losses) - 1
        ends = [one.next_at() for one in batch]
        for one, end in zip(batch, ends, strict=True):
            one.told += 1
            _tell(study, trace, one, end, False)
        now = max(ends)
    trace.trials.sort(key=lambda one: one.ended)
    return trace


def _tell(study: optuna.Study, trace: Trace, one: _Playing, now: float, pruned: bool) -> None:
    """Tell Optuna and the trace that a trial has ended."""
    reports, value = one.curve.reports()[: one.told], None
    if pruned:
        study.tell(one.trial, state=TrialState.PRUNED)
    else:
        try:
            value = result(reports).values[0]
            study.tell(one.trial, value)
        except FloatingPointError:
            study.tell(one.trial, state=TrialState.FAIL)
    tokens = reports[-1].tokens_seen
    trace.trials.append(Ended(one.trial.number, one.began, now, tokens, value, one.curve.true_loss))
