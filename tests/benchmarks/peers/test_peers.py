"""All peers search the same space on the same clock, and survive diverged trials."""

import math
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy
import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from benchmarks.tabular.budget import Budget, Seeds
from benchmarks.tabular.curves import POINTS, Curve, Problem, plain
from benchmarks.tabular.families import Family
from benchmarks.tabular.peers.clock import Peer, search
from benchmarks.tabular.peers.losses import UNKNOWN, Losses
from benchmarks.tabular.peers.optuna_alone import OptunaAlone, optuna_hyperband
from benchmarks.tabular.peers.ray_tune import RayTune
from benchmarks.tabular.plans import space
from benchmarks.tabular.trace import Trace

SLOTS = 4


def _syne_tune(baseline: str, seed: int) -> Peer:
    pytest.importorskip("syne_tune", reason="pip install -e .[bench]")
    from benchmarks.tabular.peers.syne_tune import SyneTune

    return SyneTune(baseline, seed)


def _smac(multi_fidelity: bool, seed: int) -> Peer:
    pytest.importorskip("smac", reason="pip install -e .[bench]")
    from benchmarks.tabular.peers.smac import Smac

    return Smac(seed, 40, multi_fidelity)


def _nevergrad(seed: int) -> Peer:
    pytest.importorskip("nevergrad", reason="pip install -e .[bench]")
    from benchmarks.tabular.peers.nevergrad import Nevergrad

    return Nevergrad(seed, 56, SLOTS)


def _ray_bohb(seed: int) -> Peer:
    pytest.importorskip("hpbandster", reason="pip install -e .[bohb]")
    from benchmarks.tabular.peers.ray_bohb import RayBohb

    return RayBohb(seed)


def _ax(seed: int) -> Peer:
    pytest.importorskip("ax", reason="pip install -e .[bench]")
    from benchmarks.tabular.peers.ax import Ax

    return Ax(seed)


STOPPING: Mapping[str, Callable[[int], Peer]] = {
    "Optuna": optuna_hyperband,
    "Ray Tune": RayTune,
    "Ray Tune BOHB": _ray_bohb,
    "Syne Tune BOHB": lambda seed: _syne_tune("BOHB", seed),
    "SMAC multi-fidelity": lambda seed: _smac(True, seed),
}
PEERS = {
    **STOPPING,
    "Nevergrad": _nevergrad,
    "SMAC": lambda seed: _smac(False, seed),
}
SLOW = {
    "Syne Tune ASHA-CQR": lambda seed: _syne_tune("ASHA-CQR", seed),
    "Syne Tune CQR": lambda seed: _syne_tune("CQR", seed),
    "Ax": _ax,
}
ALL = [*PEERS, *(pytest.param(name, marks=pytest.mark.long) for name in SLOW)]


def peer_of(name: str, seed: int) -> Peer:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return {**PEERS, **SLOW}[name](seed)


def run(peer: Peer, problem: Problem, trials: int, seed: int = 0) -> Trace:
    if hasattr(peer, "resumed"):
        problem = peer.resumed(problem)
    return search(peer, problem, SLOTS, Budget(trials), Seeds(0, seed, seed))


class Broken:
    """A problem of which every third configuration gives no number after its second report."""

    name = "broken"

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    def curve(self, parameters: Mapping[str, Any], seed: int) -> Curve:
        self.asked.append(parameters)
        curve = Family("agreeing", 0).curve(parameters, seed)
        if len(self.asked) % 3 == 0:
            curve.losses[3:] = [math.nan] * (POINTS - 2)  # type: ignore[index]
        return curve


@pytest.mark.parametrize("name", ALL)
def test_a_peer_searches_the_space_beside_trials_without_a_number(name: str) -> None:
    problem = Broken()
    trace = run(peer_of(name, 1), problem, 24)
    assert len(trace.trials) == 24
    assert any(trial.value is not None for trial in trace.trials)
    for parameters in problem.asked:
        assert parameters.keys() == space().keys()
        for key, value in parameters.items():
            over = space()[key]
            if isinstance(over, CategoricalDistribution):
                assert value in plain({str(one): one for one in over.choices}).values()
            else:
                assert over.low <= value <= over.high


@pytest.mark.parametrize("name", ALL)
def test_a_peer_proposes_alike_with_the_same_seed_only(name: str) -> None:
    family = Family("agreeing", 0)
    first, again, other = (run(peer_of(name, seed), family, 14) for seed in (2, 2, 3))
    assert first.trials == again.trials
    assert first.trials != other.trials


@pytest.mark.parametrize("name", STOPPING)
def test_a_peer_with_early_stopping_ends_some_trials_early(name: str) -> None:
    trace = run(peer_of(name, 0), Family("agreeing", 0), 40)
    stopped = [trial for trial in trace.trials if trial.value is None]
    assert 0 < len(stopped) < 40
    whole = max(trial.tokens for trial in trace.trials)
    assert all(trial.tokens < whole for trial in stopped)


@pytest.mark.long
@pytest.mark.parametrize("name", ["Optuna", "Ray Tune", "Syne Tune BOHB", "Nevergrad"])
def test_a_peer_is_better_than_random_search_within_fourteen_hours(name: str) -> None:
    def reached(peer: Peer, seed: int) -> float:
        trace = search(peer, Family("agreeing", seed), 8, Budget(hours=14.0), Seeds.of_run(seed))
        return [loss for _, _, loss in trace.best()][-1]

    seeds = range(5)
    searched = [reached(peer_of(name, seed), seed) for seed in seeds]
    nop = optuna.pruners.NopPruner()
    drawn = [reached(OptunaAlone(optuna.samplers.RandomSampler(s), nop), s) for s in seeds]
    assert median(a - b for a, b in zip(searched, drawn, strict=True)) < 0


def test_a_diverged_trial_is_told_with_the_worst_finite_loss_so_far() -> None:
    losses = Losses()
    assert losses.told(math.nan) == UNKNOWN
    assert [losses.told(loss) for loss in (3.0, 2.0, 18.0)] == [3.0, 2.0, 18.0]
    assert losses.told(math.inf) == 18.0
    assert losses.told(2.5, math.nan) == 18.0
    assert losses.told(2.5, 2.4) == 2.4


def test_optuna_ranks_a_diverged_trial_behind_the_others() -> None:
    peer = optuna_hyperband(0)
    for number, loss in enumerate((2.0, math.nan)):
        peer.ask(number)
        assert peer.goes_on(number, 1, loss) == math.isfinite(loss)
        peer.ended(number, 1, loss, None if math.isfinite(loss) else math.nan)
    broken = peer._study.trials[1]
    assert broken.state is optuna.trial.TrialState.PRUNED
    assert math.isnan(broken.intermediate_values[1])


def test_bohb_resumes_a_paused_trial_where_it_was_paused() -> None:
    family, peer = Family("agreeing", 0), peer_of("Ray Tune BOHB", 0)
    trace = run(peer, family, 60)
    assert sum(trial.value is not None for trial in trace.trials) > 0
    curve = family.curve(plain({key: _first(over) for key, over in space().items()}), 0)
    peer._asked.evaluations = 4  # type: ignore[attr-defined]
    rest = peer.rest(curve)  # type: ignore[attr-defined]
    assert rest.losses == curve.losses[4:]
    assert numpy.allclose(rest.hours, numpy.array(curve.hours[4:]) - curve.hours[4])
    assert rest.tokens == curve.tokens * 8 // 12


def _first(over: Any) -> Any:
    return over.choices[0] if isinstance(over, CategoricalDistribution) else over.low
