"""The compared methods: configurations of UGRO and its peers, all with the same slots and hours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from ugro.sweep.initial_trials import Planned

from . import priors
from .budget import HORIZON_HOURS, Budget, Seeds
from .curves import HOURS, Problem, plain
from .peers.clock import Peer, search
from .peers.optuna_alone import optuna_hyperband
from .peers.upstream import in_batches
from .problems import TABLES, earlier_problem, reference_configurations
from .simulate import simulate
from .trace import Trace

SLOTS = 8
# What the slots can run until the horizon, for peers that ask for a budget.
FULL_TRIALS = round(SLOTS * HORIZON_HOURS / HOURS)
WARM = 3  # configurations of a warm start: study.warm_start_trials
Run = Callable[[Problem, int, Budget, Seeds], Trace]  # problem, slots, limits, seeds


@dataclass(frozen=True)
class Method:
    """A search method."""

    title: str
    run: Run
    drawn: bool = False  # in the figures, which have room for a few
    slow: bool = False  # a simulated search takes more than ten seconds of processor time


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


def _with_prior(problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
    """Start from a prior: of a recorded table, from the other tables; else from prior=lora.

    The optimum of a synthetic landscape is at random, so that a prior is wrong there.
    """
    name = problem.name
    given = (priors.without(name),) if name in TABLES else ("prior=lora",)
    return simulate(problem, given, slots, budget, seeds)


def _peer(create: Callable[[int], Peer]) -> Run:
    """Run a peer that a seed creates."""

    def run(problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
        return search(create(seeds.method), problem, slots, budget, seeds)

    return run


def _ray_tune(seed: int) -> Peer:
    from .peers.ray_tune import RayTune

    return RayTune(seed)


def _ray_bohb(problem: Problem, slots: int, budget: Budget, seeds: Seeds) -> Trace:
    from .peers.ray_bohb import RayBohb

    peer = RayBohb(seeds.method)
    return search(peer, peer.resumed(problem), slots, budget, seeds)


def _syne_tune(baseline: str, seed: int) -> Peer:
    from .peers.syne_tune import SyneTune

    return SyneTune(baseline, seed)


def _smac(multi_fidelity: bool, seed: int) -> Peer:
    from .peers.smac import Smac

    return Smac(seed, FULL_TRIALS, multi_fidelity)


def _nevergrad(seed: int) -> Peer:
    from .peers.nevergrad import Nevergrad

    return Nevergrad(seed, FULL_TRIALS, SLOTS)


def _ax(seed: int) -> Peer:
    from .peers.ax import Ax

    return Ax(seed)


DEFAULT = "UGRO"
_TPE = "hydra/sweeper/sampler=tpe_multivariate"
_RANDOM = "hydra/sweeper/sampler=random"
_NONE = "scheduler=none"
_ADAPTIVE, _PROMOTION = "scheduler=adaptive_asha", "scheduler=promotion_asha"

_OURS: Mapping[str, Method] = {
    "default": Method(DEFAULT, _ugro(), drawn=True),
    "warm_start": Method("UGRO: warm start", _warm_started),
    "prior": Method("UGRO: prior", _with_prior),
    "none": Method("UGRO: no early stopping", _ugro(_NONE), drawn=True),
    "adaptive": Method("UGRO: adaptive ASHA", _ugro(_ADAPTIVE), slow=True),
    "promotion": Method("UGRO: promotion ASHA", _ugro(_PROMOTION), slow=True),
    "tpe": Method("UGRO: multivariate TPE, no early stopping", _ugro(_TPE, _NONE)),
    "tpe_adaptive": Method("UGRO: multivariate TPE, adaptive ASHA", _ugro(_TPE, _ADAPTIVE)),
    "random": Method("UGRO: random, no early stopping", _ugro(_RANDOM, _NONE)),
}
_PEERS: Mapping[str, Method] = {
    "optuna": Method("Optuna: TPE, Hyperband", _peer(optuna_hyperband), drawn=True),
    "ray_tune": Method("Ray Tune: OptunaSearch, ASHA", _peer(_ray_tune), drawn=True),
    "upstream": Method("upstream (model): batches of 8, TPE", in_batches, drawn=True),
}
# Optional dependencies: pip install -e .[bench] and, for BOHB on Ray Tune, .[bohb]
_OPTIONAL: Mapping[str, tuple[str, Method]] = {
    "ray_bohb": ("hpbandster", Method("Ray Tune: BOHB", _ray_bohb)),
    "syne_tune_bohb": (
        "syne_tune",
        Method("Syne Tune: BOHB", _peer(partial(_syne_tune, "BOHB")), drawn=True),
    ),
    "syne_tune_cqr": (
        "syne_tune",
        Method("Syne Tune: CQR", _peer(partial(_syne_tune, "CQR")), slow=True),
    ),
    "syne_tune_asha_cqr": (
        "syne_tune",
        Method("Syne Tune: ASHA, CQR", _peer(partial(_syne_tune, "ASHA-CQR")), slow=True),
    ),
    "smac": ("smac", Method("SMAC3", _peer(partial(_smac, False)), slow=True)),
    "smac_hyperband": (
        "smac",
        Method("SMAC3: multi-fidelity", _peer(partial(_smac, True)), slow=True),
    ),
    "nevergrad": ("nevergrad", Method("Nevergrad", _peer(_nevergrad))),
    "ax": ("ax", Method("Ax", _peer(_ax), slow=True)),
}
METHODS = {
    **_OURS,
    **_PEERS,
    **{key: method for key, (package, method) in _OPTIONAL.items() if find_spec(package)},
}
SLOW = [key for key, method in METHODS.items() if method.slow]
