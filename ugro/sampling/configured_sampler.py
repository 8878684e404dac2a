"""The configured sampler: one of ``hydra/sweeper/sampler``."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import optuna
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from ugro.errors import UserError, fault
from ugro.sampling.auto_sampler import AutoSampler, OnChange
from ugro.sampling.optuna_sampler import OptunaSampler
from ugro.sampling.sampler import Sampler
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import SearchSpace, values

CALLABLE = (
    "hydra_plugins.hydra_optuna_sweeper.*",
    "optuna.samplers.*",
    "ugro.sampling.auto_sampler.AutoSampler",
)


def sampler_of(
    config: DictConfig,
    directions: Sequence[str],
    feasible: FeasibleSpace,
    seed: int,
    past: Sequence[FrozenTrial] = (),
    tried: int = 0,
    clock: Callable[[], float] = time.monotonic,
    on_change: OnChange = lambda model, reason: None,
) -> Sampler:
    """Create the configured sampler.

    Args:
        config: one of ``hydra/sweeper/sampler``
        directions: direction of each value: ``minimize`` or ``maximize``
        feasible: the search space
        seed: seed if the sampler has none of its own
        past: trials of the study so far
        tried: number of existing trials, unfinished ones included: a resumed study draws anew
        clock: seconds since any fixed time
        on_change: called when the sampler changes its model
    """
    own = config.get("seed")
    seed = seed if own is None else own
    overrides: dict[str, Any] = {"seed": seed + tried}
    if feasible.conditional and config.get("multivariate"):
        overrides["group"] = True  # otherwise Optuna draws conditional keys independently
    try:
        sampler: Any = instantiate(config, _execution_whitelist_=CALLABLE, **overrides)
    except InstantiationException as error:
        allowed = f"one of {', '.join(CALLABLE)} ({str(error).splitlines()[0]})"
        target = config.get("_target_")
        raise UserError(fault("hydra.sweeper.sampler._target_", target, allowed)) from error
    if isinstance(sampler, partial) and sampler.func is AutoSampler:
        return AutoSampler(seed, directions, feasible, past, tried, clock, on_change)
    if not isinstance(sampler, optuna.samplers.BaseSampler):
        sampler = _grid(feasible.space, sampler.keywords.get("seed"))
    return OptunaSampler(sampler, directions, feasible, past)


def _grid(space: SearchSpace, seed: int | None) -> optuna.samplers.BaseSampler:
    """Create a grid sampler, which needs the space in advance."""
    if space.size is None:
        raise UserError(
            fault("hydra/sweeper/sampler", "grid", "another, as the space is continuous")
        )
    grid = {key: values(distribution) for key, distribution in space.distributions.items()}
    return _Grid(grid, seed=seed)


class _Grid(optuna.samplers.GridSampler):
    """Optuna's grid sampler for the ask-and-tell interface."""

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: optuna.trial.TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do nothing: Optuna's method stops ``study.optimize``, which does not run here."""
