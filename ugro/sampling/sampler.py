"""Optuna's samplers on an in-memory copy of the study."""

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
from ugro.study.study import silence_optuna
from ugro.study.trial_record import REASON, state_of

CALLABLE = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")


@dataclass(frozen=True)
class Draw:
    """Parameters drawn by a sampler.

    Attributes:
        parameters: parameters as in the study
        distributions: distributions of these keys as in the study
        trial: the sampler's trial; a Gaussian process sees numeric choices as ranks
    """

    parameters: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    trial: optuna.Trial


class Sampler:
    """Optuna sampler with its own in-memory study.

    The study's storage would need a transaction per parameter, and each rejected proposal would
    leave a trial there.

    Args:
        sampler: Optuna's sampler
        directions: direction of each value: ``minimize`` or ``maximize``
        feasible: the search space
        past: trials of the study so far
    """

    def __init__(
        self,
        sampler: optuna.samplers.BaseSampler,
        directions: Sequence[str],
        feasible: FeasibleSpace,
        past: Sequence[FrozenTrial],
    ) -> None:
        silence_optuna()
        is_gp = isinstance(sampler, optuna.samplers.GPSampler)
        # More threads than free cores slow a Gaussian process down while trials run.
        self._thread_limit = partial(threadpool_limits, 1) if is_gp else nullcontext
        self._study = optuna.create_study(
            storage=ExtrapolatedStudy() if is_gp and len(directions) == 1 else None,
            directions=[StudyDirection[direction.upper()] for direction in directions],
            sampler=sampler,
        )
        self._feasible = feasible
        # Ordinal encoding does not improve TPE: docs/benchmarks.md.
        self._encoding = OrdinalEncoding(feasible.space.distributions if is_gp else {})
        finished = [trial for trial in past if trial.state.is_finished()]
        self._study.add_trials([self._encoding.encode_trial(trial) for trial in finished])

    def ask(self, fixed: Mapping[str, Any] | None = None) -> Draw:
        """Draw a configuration, except for the parameters in ``fixed``."""
        if fixed is not None:
            self._study.enqueue_trial(self._encoding.encode(fixed))
        with self._thread_limit():
            trial = self._study.ask(self._encoding.distributions(self._feasible.unconditional))
        for key, over in self._feasible.conditional.items():
            if self._feasible.is_active(key, self._encoding.decode(trial.params)):
                _suggest(trial, key, self._encoding.distribution(key, over))
        parameters, searched = (
            self._encoding.decode(trial.params),
            self._feasible.space.distributions,
        )
        return Draw(parameters, {key: searched[key] for key in parameters}, trial)

    def report(self, draw: Draw, resource: int, value: float) -> None:
        """Report an intermediate value; with several objectives no sampler uses it."""
        if len(self._study.directions) == 1:
            draw.trial.report(value, resource)

    def tell(self, draw: Draw, outcome: Outcome, values: Sequence[float] | None = None) -> None:
        """Record the outcome of a trial, unless the trial will be resumed."""
        state = state_of(outcome)
        if not state.is_finished():
            return
        draw.trial.set_user_attr(REASON, outcome.value)
        self._study.tell(draw.trial, values if state is TrialState.COMPLETE else None, state=state)

    def add(self, trial: FrozenTrial) -> None:
        """Add a finished trial of another driver."""
        self._study.add_trial(self._encoding.encode_trial(trial))

    def reject(self, draw: Draw) -> None:
        """Mark a draw as infeasible, which ranks it behind all trials that ran."""
        self._study.tell(draw.trial, state=TrialState.PRUNED)

    def discard(self, draw: Draw) -> None:
        """Discard a draw that carries no information, such as a duplicate."""
        self._study.tell(draw.trial, state=TrialState.FAIL)


def random_sampler(feasible: FeasibleSpace, seed: int) -> Sampler:
    """Create a sampler that draws each key at random from its distribution."""
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
    """Create the configured sampler.

    Args:
        config: one of ``hydra/sweeper/sampler``
        space: the search space, which a grid sampler needs in advance
        seed: seed if the sampler has none of its own
        tried: number of existing trials, added to the seed so that a resumed study draws anew
    """
    own = config.get("seed")
    overrides: dict[str, Any] = {"seed": (seed if own is None else own) + tried}
    if space.conditions and config.get("multivariate"):
        overrides["group"] = True  # otherwise Optuna draws conditional keys independently
    try:
        sampler: Any = instantiate(config, _execution_whitelist_=CALLABLE, **overrides)
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
    """Optuna's grid sampler for the ask-and-tell interface."""

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do nothing: Optuna's method stops ``study.optimize``, which does not run here."""
