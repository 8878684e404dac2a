"""Who takes part? UGRO in several configurations, and the peers, each with its slots."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import optuna

from .curves import Problem
from .peers import by_optuna, in_batches, samplers
from .simulate import simulate
from .trace import Trace

SLOTS = 8
Run = Callable[[Problem, int, int], Trace]  # problem, trials, seed


@dataclass(frozen=True)
class Method:
    """A way to search."""

    name: str
    run: Run
    trials: int  # its budget; what stops trials early can afford more


def _ugro(
    overrides: tuple[str, ...], slots: int, problem: Problem, trials: int, seed: int
) -> Trace:
    return simulate(problem, overrides, slots, trials, seed)


def _optuna(
    sampler: str, halving: bool, slots: int, problem: Problem, trials: int, seed: int
) -> Trace:
    pruners = optuna.pruners
    pruner = pruners.SuccessiveHalvingPruner() if halving else pruners.NopPruner()
    made = samplers(sampler, seed, at_once=slots > 1)
    return by_optuna(problem, made, pruner, slots, trials, seed)


def _upstream(slots: int, problem: Problem, trials: int, seed: int) -> Trace:
    return in_batches(problem, optuna.samplers.TPESampler(seed=seed), slots, trials, seed)


TPE = ("hydra/sweeper/sampler=tpe", "study.baseline=false")
JOINT = ("hydra/sweeper/sampler=tpe_multivariate", "study.baseline=false")
ASHA, ADAPTIVE = "scheduler=asha", "scheduler=adaptive_asha"
SEQUENTIAL = "sequential TPE"
WHOLE, STOPPED = 50, 150  # trials; those that are stopped early cost a third or less

METHODS = (
    Method(SEQUENTIAL, partial(_ugro, TPE, 1), WHOLE),
    Method("sequential random", partial(_ugro, ("hydra/sweeper/sampler=random", "study.baseline=false"), 1), WHOLE),
    Method("8 slots, ASHA", partial(_ugro, (*TPE, ASHA), SLOTS), STOPPED),
    Method("8 slots, multivariate TPE", partial(_ugro, JOINT, SLOTS), WHOLE),
    Method("8 slots, ASHA, multivariate TPE", partial(_ugro, (*JOINT, ASHA), SLOTS), STOPPED),
    Method("8 slots, adaptive ASHA, multivariate TPE", partial(_ugro, (*JOINT, ADAPTIVE), SLOTS), STOPPED),
    Method("the same, baseline first", partial(_ugro, (JOINT[0], ADAPTIVE), SLOTS), STOPPED),
    Method("Optuna alone: sequential TPE", partial(_optuna, "tpe", False, 1), WHOLE),
    Method("Optuna alone: 8 slots, TPE, halving", partial(_optuna, "tpe", True, SLOTS), STOPPED),
    Method("hydra-optuna-sweeper: batches of 8, TPE", partial(_upstream, SLOTS), WHOLE),
)  # fmt: skip
