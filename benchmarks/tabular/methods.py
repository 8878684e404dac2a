"""The compared methods: configurations of UGRO and its peers, with slots and budgets."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import optuna

from ugro.sweep.initial_trials import Planned

from .curves import Problem, plain
from .peers.clock import search
from .peers.optuna_alone import OptunaAlone
from .peers.upstream import in_batches
from .problems import earlier_problem, reference_configurations
from .simulate import simulate
from .trace import Trace

SLOTS = 8
WARM = 3  # configurations of a warm start: study.warm_start_trials
Run = Callable[[Problem, int, int], Trace]  # problem, trials, seed


@dataclass(frozen=True)
class Method:
    """A search method."""

    name: str
    run: Run
    trials: int  # budget; methods with early stopping get more trials


def _ugro(
    overrides: tuple[str, ...], slots: int, problem: Problem, trials: int, seed: int
) -> Trace:
    return simulate(problem, overrides, slots, trials, seed)


def _warm_started(problem: Problem, trials: int, seed: int) -> Trace:
    """Start with the best configurations of an earlier study, as with study.warm_start."""
    before, overrides = earlier_problem(problem), (*_JOINT, _ADAPTIVE)
    known = sorted(
        reference_configurations(),
        key=lambda configuration: before.curve(plain(configuration), seed).true_loss,
    )
    first = [Planned(configuration, "warm_start") for configuration in known[:WARM]]
    return simulate(problem, overrides, SLOTS, trials, seed, first=first)


def _optuna(problem: Problem, trials: int, seed: int) -> Trace:
    """Run Optuna with its recommended settings for parallel trials."""
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    pruner = optuna.pruners.SuccessiveHalvingPruner()
    return search(OptunaAlone(sampler, pruner), problem, SLOTS, trials, seed)


def _ray_tune(problem: Problem, trials: int, seed: int) -> Trace:
    from .peers.ray_tune import RayTune

    return search(RayTune(seed), problem, SLOTS, trials, seed)


def _syne_tune(baseline: str, problem: Problem, trials: int, seed: int) -> Trace:
    from .peers.syne_tune import SyneTune

    return search(SyneTune(baseline, seed), problem, SLOTS, trials, seed)


def _upstream(problem: Problem, trials: int, seed: int) -> Trace:
    return in_batches(problem, SLOTS, trials, seed)


SEQUENTIAL, OPTUNA = "sequential TPE", "Optuna: TPE, halving"
PROCESS = "adaptive ASHA, GP"
TUNE, BOHB = "Ray Tune: OptunaSearch, ASHA", "Syne Tune: BOHB"
UPSTREAM = "upstream (model): batches of 8, TPE"
# Budgets: stopped trials cost a third or less; the Gaussian process takes most computing time.
WHOLE, STOPPED, FEWER = 50, 100, 60
_NO_BASELINE = "study.baseline=false"
_RANDOM = ("hydra/sweeper/sampler=random", _NO_BASELINE)
_TPE = ("hydra/sweeper/sampler=tpe", _NO_BASELINE)
_JOINT = ("hydra/sweeper/sampler=tpe_multivariate", _NO_BASELINE)
_GP = ("hydra/sweeper/sampler=gp", _NO_BASELINE)
_ASHA, _ADAPTIVE = "scheduler=asha", "scheduler=adaptive_asha"

METHODS = (
    Method(SEQUENTIAL, partial(_ugro, _TPE, 1), WHOLE),
    Method("ASHA", partial(_ugro, (*_TPE, _ASHA), SLOTS), STOPPED),
    Method("multivariate TPE", partial(_ugro, _JOINT, SLOTS), WHOLE),
    Method("ASHA, multivariate TPE", partial(_ugro, (*_JOINT, _ASHA), SLOTS), STOPPED),
    Method("adaptive ASHA, multivariate TPE", partial(_ugro, (*_JOINT, _ADAPTIVE), SLOTS), STOPPED),
    Method("the same, baseline first", partial(_ugro, (_JOINT[0], _ADAPTIVE), SLOTS), STOPPED),
    Method("the same, warm start", _warm_started, STOPPED),
    Method(PROCESS, partial(_ugro, (*_GP, _ADAPTIVE), SLOTS), FEWER),
    Method("GP", partial(_ugro, _GP, SLOTS), WHOLE),
    Method("sequential random", partial(_ugro, _RANDOM, 1), WHOLE),
    Method(OPTUNA, _optuna, STOPPED),
    Method(TUNE, _ray_tune, STOPPED),
    # Optional dependency: pip install -e .[bench]
    *([Method(BOHB, partial(_syne_tune, "BOHB"), STOPPED)] if find_spec("syne_tune") else []),
    Method(UPSTREAM, _upstream, WHOLE),
)
