"""What does the sampler propose? Optuna's samplers, asked in memory."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

from ugro.errors import UserError, fault
from ugro.events.outcome import Outcome
from ugro.sampling.extrapolation import ExtrapolatedStudy
from ugro.sampling.ordinal_encoding import OrdinalEncoding
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import SearchSpace, values
from ugro.study.study import REASON, silence_optuna, state_of

CALLABLE = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")


@dataclass(frozen=True)
class Asked:
    """A proposal.

    Attributes:
        parameters: as the study has them
        distributions: of these keys, as the study has them
        trial: the sampler's; to a Gaussian process choices among numbers are ranks
    """

    parameters: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    trial: optuna.Trial


class Sampler:
    """A sampler with all that it knows, in memory.

    The study's record is not asked: there a proposal costs a transaction for each parameter, and
    one that is refused would leave a trial behind.
    """

    def __init__(
        self,
        sampler: optuna.samplers.BaseSampler,
        directions: Sequence[str],
        feasible: FeasibleSpace,
        past: Sequence[FrozenTrial],
    ) -> None:
        silence_optuna()
        process = isinstance(sampler, optuna.samplers.GPSampler)
        # Threads that wait for cores on which trials run slow a Gaussian process down.
        self._threads = partial(threadpool_limits, 1) if process else nullcontext
        self._view = optuna.create_study(
            storage=ExtrapolatedStudy() if process and len(directions) == 1 else None,
            directions=[StudyDirection[one.upper()] for one in directions],
            sampler=sampler,
        )
        self._feasible = feasible
        # TPE was no better for the order of numbers: docs/benchmarks.md.
        self._ordinals = OrdinalEncoding(feasible.space.distributions if process else {})
        self._view.add_trials([self._ordinals.seen(one) for one in past if one.state.is_finished()])

    def ask(self, fixed: Mapping[str, Any] | None = None) -> Asked:
        """A proposal; the parameters that ``fixed`` does not have are drawn by the sampler."""
        if fixed is not None:
            self._view.enqueue_trial(self._ordinals.ranks(fixed))
        with self._threads():
            trial = self._view.ask(self._ordinals.distributions(self._feasible.unconditional))
        for key, over in self._feasible.conditional.items():
            if self._feasible.is_active(key, self._ordinals.numbers(trial.params)):
                _suggest(trial, key, self._ordinals.distribution(key, over))
        found, searched = self._ordinals.numbers(trial.params), self._feasible.space.distributions
        return Asked(found, {key: searched[key] for key in found}, trial)

    def report(self, asked: Asked, resource: int, value: float) -> None:
        """Let the sampler see an intermediate value; with several objectives none looks at it."""
        if len(self._view.directions) == 1:
            asked.trial.report(value, resource)

    def tell(self, asked: Asked, how: Outcome, values: Sequence[float] | None = None) -> None:
        """Let the sampler see how a trial ended; one that is to go on has not."""
        if not state_of(how).is_finished():
            return
        complete = state_of(how) is TrialState.COMPLETE
        asked.trial.set_user_attr(REASON, how.value)
        self._view.tell(asked.trial, values if complete else None, state=state_of(how))

    def hear(self, trial: FrozenTrial) -> None:
        """Let the sampler see a finished trial of another driver."""
        self._view.add_trial(self._ordinals.seen(trial))

    def refuse(self, asked: Asked) -> None:
        """Tell the sampler that its proposal is of no use: it ranks behind all that was run."""
        self._view.tell(asked.trial, state=TrialState.PRUNED)

    def forget(self, asked: Asked) -> None:
        """Take a proposal back that says nothing new."""
        self._view.tell(asked.trial, state=TrialState.FAIL)


def at_random(feasible: FeasibleSpace, seed: int) -> Sampler:
    """Proposals at random, each key by its own distribution."""
    return Sampler(optuna.samplers.RandomSampler(seed), ["minimize"], feasible, [])


def _suggest(trial: optuna.Trial, key: str, over: BaseDistribution) -> None:
    match over:
        case CategoricalDistribution():
            trial.suggest_categorical(key, over.choices)
        case IntDistribution():
            trial.suggest_int(key, over.low, over.high, step=over.step, log=over.log)
        case FloatDistribution():
            trial.suggest_float(key, over.low, over.high, step=over.step, log=over.log)


def sampler_of(
    config: DictConfig, space: SearchSpace, seed: int, tried: int
) -> optuna.samplers.BaseSampler:
    """The configured sampler; a continued study gets other draws from the same seed.

    Args:
        config: one of ``hydra/sweeper/sampler``
        space: which the grid sampler wants to know beforehand
        seed: where the sampler's own is not set
        tried: trials that the study has already
    """
    own = config.get("seed")
    changed: dict[str, Any] = {"seed": (seed if own is None else own) + tried}
    if space.conditions and config.get("multivariate"):
        changed["group"] = True  # else Optuna draws what is in a branch one by one
    try:
        sampler: Any = instantiate(config, _execution_whitelist_=CALLABLE, **changed)
    except InstantiationException as error:
        allowed = f"one of {', '.join(CALLABLE)} ({str(error).splitlines()[0]})"
        target = config.get("_target_")
        raise UserError(fault("hydra.sweeper.sampler._target_", target, allowed)) from error
    if isinstance(sampler, optuna.samplers.BaseSampler):
        return sampler
    if space.size is None:
        raise UserError(
            fault("hydra/sweeper/sampler", "grid", "another, as the space is continuous")
        )
    grid = {key: values(distribution) for key, distribution in space.distributions.items()}
    return _Grid(grid, seed=sampler.keywords.get("seed"))


class _Grid(optuna.samplers.GridSampler):
    """Optuna's grid for a study that is asked and told."""

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Nothing: Optuna's would stop a loop that is not there and needs its own proposals."""
