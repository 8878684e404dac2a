"""The compared methods: configurations of UGRO and its peers, all with the same slots and hours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import optuna

from ugro.sweep.initial_trials import Planned

from .budget import Budget, Seeds
from .curves import Problem, plain
from .peers.clock import search
from .peers.optuna_alone import OptunaAlone
from .peers.upstream import in_batches
from .problems import earlier_problem, reference_configurations
from .simulate import simulate
from .trace import Trace

SLOTS = 8
WARM = 3  # configurations of a warm start: study.warm_start_trials
Run = Callable[[Problem, int, Budget, Seeds], Trace]  # problem, slots, limits, seeds


@dataclass(frozen=True)
class Method:
    """A search method."""

    title: str
    run: Run
    drawn: bool = False  # in the figures, which have room for a few


def _ugro(*overrides: str) -> Run:
    """Run UGRO with these overrides."""

    def run(problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
        return simulate(problem, overrides, slots, budget, seeds)

    return run


def _warm_started(problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
    """Start with the best configurations of an earlier study, as with study.warm_start."""
    before = earlier_problem(problem)
    known = sorted(
        reference_configurations(),
        key=lambda configuration: before.curve(plain(configuration), seeds.noise).true_loss,
    )
    first = [Planned(configuration, "warm_start") for configuration in known[:WARM]]
    return simulate(problem, (), slots, budget, seeds, first=first)


def _optuna(problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
    """Run Optuna with its recommended settings for parallel trials."""
    sampler = optuna.samplers.TPESampler(seed=seeds.method, constant_liar=True)
    pruner = optuna.pruners.SuccessiveHalvingPruner()
    return search(OptunaAlone(sampler, pruner), problem, slots, budget, seeds)


def _ray_tune(problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
    from .peers.ray_tune import RayTune

    return search(RayTune(seeds.method), problem, slots, budget, seeds)


def _syne_tune(baseline: str, problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
    from .peers.syne_tune import SyneTune

    return search(SyneTune(baseline, seeds.method), problem, slots, budget, seeds)


DEFAULT = "UGRO"
_JOINT, _GP = "hydra/sweeper/sampler=tpe_multivariate", "hydra/sweeper/sampler=gp"
_ASHA, _ADAPTIVE = "scheduler=asha", "scheduler=adaptive_asha"

_OURS: Mapping[str, Method] = {
    "default": Method(DEFAULT, _ugro(), drawn=True),
    "warm_start": Method("UGRO: warm start", _warm_started),
    "gp": Method("UGRO: GP", _ugro(_GP), drawn=True),
    "gp_adaptive": Method("UGRO: GP, adaptive ASHA", _ugro(_GP, _ADAPTIVE), drawn=True),
    "tpe": Method("UGRO: multivariate TPE", _ugro(_JOINT)),
    "tpe_adaptive": Method("UGRO: multivariate TPE, adaptive ASHA", _ugro(_JOINT, _ADAPTIVE)),
    "tpe_asha": Method("UGRO: multivariate TPE, ASHA", _ugro(_JOINT, _ASHA)),
    "random": Method("UGRO: random", _ugro("hydra/sweeper/sampler=random")),
}
_PEERS: Mapping[str, Method] = {
    "optuna": Method("Optuna: TPE, halving", _optuna, drawn=True),
    "ray_tune": Method("Ray Tune: OptunaSearch, ASHA", _ray_tune, drawn=True),
    "upstream": Method("upstream (model): batches of 8, TPE", in_batches, drawn=True),
}
# Optional dependencies: pip install -e .[bench]
_OPTIONAL: Mapping[str, Method] = {
    "syne_tune_bohb": Method("Syne Tune: BOHB", partial(_syne_tune, "BOHB"), drawn=True),
}
METHODS = {**_OURS, **_PEERS, **(_OPTIONAL if find_spec("syne_tune") else {})}
