"""Which configuration is tried next? What the sampler proposes, but none twice."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.trial import FrozenTrial, TrialState

from ugro.errors import UserError, fault
from ugro.sweep.search_space import SearchSpace, values
from ugro.sweep.study import Ending, Study, ending

ASKED_AGAIN = 3  # times, when the sampler proposes what was tried; each leaves a refused trial


class Proposals:
    """The trials still to be run, one at a time.

    A space that the budget covers is run through in order, each configuration once. Otherwise the
    sampler proposes; what it proposes a second time is refused, and after some refusals a
    configuration that was not tried yet is drawn at random.
    """

    def __init__(self, study: Study, space: SearchSpace, n_trials: int | None, seed: int) -> None:
        self.total = total_trials(space, n_trials)
        self._study = study
        self._space = space
        self._exhausts = space.size is not None and self.total >= space.size
        self._random = random.Random(seed)
        tried = [t for t in study.trials() if ending(t) is not Ending.INTERRUPTED]
        self._tried = {_identity(trial.params) for trial in tried}
        self._left = self.total - len(study.finished())
        self._untried = self._combinations()

    def __iter__(self) -> Iterator[optuna.Trial]:
        return self

    def __next__(self) -> optuna.Trial:
        """The next trial, its parameters drawn."""
        if self._left <= 0:
            raise StopIteration
        trial = self._fixed(next(self._untried)) if self._exhausts else self._sampled()
        self._left -= 1
        self._tried.add(_identity(trial.params))
        return trial

    def _sampled(self) -> optuna.Trial:
        for _ in range(ASKED_AGAIN):
            trial = self._study.record.ask(dict(self._space.distributions))
            if self._space.size is None or _identity(trial.params) not in self._tried:
                return trial
            self._study.tell(trial, Ending.DUPLICATE)
        return self._fixed(self._random.choice(list(self._combinations())))

    def _fixed(self, parameters: dict[str, Any]) -> optuna.Trial:
        self._study.record.enqueue_trial(parameters)
        return self._study.record.ask(dict(self._space.distributions))

    def _combinations(self) -> Iterator[dict[str, Any]]:
        return (c for c in self._space.combinations() if _identity(c) not in self._tried)


def total_trials(space: SearchSpace, n_trials: int | None) -> int:
    """How many trials the study has when it is done.

    Raises:
        UserError: the space is continuous and nobody said how many.
    """
    if n_trials is not None and n_trials < 1:
        raise UserError(fault("hydra.sweeper.n_trials", n_trials, "1 or more"))
    if space.size is None:
        if n_trials is None:
            raise UserError(
                fault("hydra.sweeper.n_trials", None, "a number, as the space is continuous")
            )
        return n_trials
    return space.size if n_trials is None else min(n_trials, space.size)


def sampler_of(config: DictConfig, space: SearchSpace, tried: int) -> optuna.samplers.BaseSampler:
    """The configured sampler; a continued study gets other draws from the same seed.

    Args:
        config: one of ``hydra/sweeper/sampler``
        space: which the grid sampler wants to know beforehand
        tried: trials that the study has already
    """
    reseeded = {} if config.get("seed") is None else {"seed": config.seed + tried}
    sampler: Any = instantiate(
        config,
        _execution_whitelist_=("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*"),
        **reseeded,
    )
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


def _identity(parameters: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What makes two configurations the same; samplers give 0.30000000000000004 for 0.3."""
    return tuple(sorted((key, _rounded(value)) for key, value in parameters.items()))


def _rounded(value: object) -> object:
    return float(f"{value:.12g}") if isinstance(value, float) else value
