"""The plan of a sweep: its validated configuration, search space and initial trials."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from ugro.config import Config, complete_objectives, known_keys, no_key, typed
from ugro.errors import UserError, fault
from ugro.objectives.objectives import objectives_of
from ugro.sampling.configured_sampler import sampler_of
from ugro.sampling.feasible_share import check_satisfiable
from ugro.sampling.unit_cube import UnitCube
from ugro.schedulers.auto_scheduler import ChosenScheduler, chosen_scheduler
from ugro.schedulers.early_stopping import EarlyStopping
from ugro.space.checks import check_space
from ugro.space.comparability import check_comparable
from ugro.space.composition import (
    Composer,
    can_be_set,
    constraints_in,
    unused_keys,
    without_hydra,
)
from ugro.space.feasible import FeasibleSpace
from ugro.space.prior import SECTION
from ugro.space.search_space import parse
from ugro.sweep.initial_trials import Planned, initial_trials

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Everything that is determined before the first trial.

    Attributes:
        trial: configuration of a trial, ``hydra`` included
        config: the same configuration, typed
        feasible: the search space
        first: initial trials, which run before the sampler proposes
        total: number of trials of the finished study
        base_config: configuration without searched parameters, interpolations unresolved
        sampler: the sampler in words
        data: required fingerprints by part of the data, by searched parameters of the data
    """

    trial: DictConfig
    config: Config
    feasible: FeasibleSpace
    first: Sequence[Planned]
    total: int
    base_config: Mapping[str, Any]
    sampler: str
    data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def scheduler(self) -> ChosenScheduler:
        """The trial scheduler."""
        return chosen_scheduler(
            self.trial.scheduler,
            len(objectives_of(self.config.objectives).directions),
            bool(self.feasible.conditional),
            self.is_exhaustive,
        )

    @property
    def is_exhaustive(self) -> bool:
        """Whether every configuration of the space runs."""
        return not self.config.study.allow_duplicates and self.feasible.is_covered_by(self.total)

    def early_stopping(self, seed: int | None = None, trials: int | None = None) -> EarlyStopping:
        """Create the study's early stopping, without any reports.

        Args:
            seed: seed of the scheduler; None: the study's
            trials: largest number of trials; None: the plan's
        """
        config = self.config
        return EarlyStopping(
            self.scheduler.config,
            config.stoppers,
            objectives_of(config.objectives),
            UnitCube(self.feasible.space.distributions, self.feasible.space.prior),
            self.total if trials is None else trials,
            config.seed if seed is None else seed,
        )


def plan_of(config: DictConfig, loader: ConfigLoader, arguments: list[str]) -> Plan:
    """Validate the configuration of a sweep and plan it.

    Args:
        config: the sweep's configuration, with the final name of its study
        loader: Hydra's config loader, which composes configurations of trials
        arguments: overrides of the command line

    Raises:
        UserError: the configuration is invalid.
    """
    settings = config.hydra.sweeper
    check_jobs(settings["n_jobs"])
    space = parse(settings["params"], arguments, settings["conditions"], settings["prior"])
    composer = Composer(space, config, loader)
    check_conditions(settings["conditions"], composer.compose({}))
    check_prior(settings["prior"], composer.compose({}))
    for key, reason in unused_keys(space, composer.compose({})).items():
        log.warning("%s is not searched as it has no effect: %s", key, reason)
        space = space.without(key)
    feasible = FeasibleSpace(space, composer, constraints_in(composer.compose({})))
    check_space(feasible)
    trial = composer.compose(feasible.active(next(space.one_at_a_time(), {}))).copy()
    typed_config = typed(without_hydra(trial))
    study = typed_config.study
    check_comparable(space.distributions, typed_config)
    check_satisfiable(feasible, typed_config.seed)
    first = initial_trials(study, bool(settings["params"]), feasible)
    size = None if study.allow_duplicates else feasible.size
    n_trials = settings["n_trials"]
    total = total_trials(size, n_trials)
    if not space.distributions:
        log.info("Nothing to search: a single trial of the configuration")
    elif size and n_trials and size < n_trials:
        log.info("The space has %d configurations: %d trials, not %d", size, total, n_trials)
    base_config: Any = OmegaConf.to_container(
        complete_objectives(without_hydra(composer.compose({}))), resolve=False, enum_to_str=True
    )
    directions = [one.name for one in objectives_of(typed_config.objectives).directions]
    sampler = sampler_of(trial.hydra.sweeper.sampler, directions, feasible, typed_config.seed)
    plan = Plan(trial, typed_config, feasible, first, total, base_config, sampler.description)
    plan.early_stopping().check()
    return plan


def check_conditions(conditions: Mapping[str, str], config: DictConfig) -> None:
    """Check that each condition belongs to an existing key.

    Raises:
        UserError: all unknown keys, one per line.
    """
    unknown = [key for key in conditions if not _is_known(key, config)]
    if unknown:
        lines = (f"hydra.sweeper.conditions.{no_key(key)}" for key in unknown)
        raise UserError("\n".join(lines))


def _is_known(key: str, config: DictConfig) -> bool:
    """Return whether the configuration has a key, or may have it with another option of a group."""
    return can_be_set(config, key) or key in known_keys()


def check_prior(prior: Mapping[str, Any], config: DictConfig) -> None:
    """Check that each belief is about an existing key.

    Raises:
        UserError: all unknown keys, one per line.
    """
    unknown = [key for key in prior if not _is_known(key, config)]
    if unknown:
        raise UserError("\n".join(f"{SECTION}.{no_key(key)}" for key in unknown))


def check_jobs(n_jobs: object) -> None:
    """Check ``hydra.sweeper.n_jobs``.

    Raises:
        UserError: the value is neither auto nor a positive integer.
    """
    if n_jobs != "auto" and not (isinstance(n_jobs, int) and n_jobs >= 1):
        raise UserError(fault("hydra.sweeper.n_jobs", n_jobs, "auto, or 1 or more"))


def total_trials(size: int | None, n_trials: int | None) -> int:
    """Return the number of trials of the finished study.

    Args:
        size: number of configurations in the space; None if infinite
        n_trials: ``hydra.sweeper.n_trials``

    Raises:
        UserError: the number is below 1, or missing for an infinite space.
    """
    if n_trials is not None and n_trials < 1:
        raise UserError(fault("hydra.sweeper.n_trials", n_trials, "1 or more"))
    bounds = [bound for bound in (size, n_trials) if bound is not None]
    if not bounds:
        allowed = "a number, as the space is continuous"
        raise UserError(fault("hydra.sweeper.n_trials", None, allowed))
    return min(bounds)
