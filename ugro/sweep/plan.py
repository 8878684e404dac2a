"""The plan of a sweep: its configuration, checked and put into what is run."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from ugro.config import Config, no_key, typed
from ugro.errors import UserError, fault
from ugro.objectives.objectives import objectives_of
from ugro.sampling.feasibility import check_satisfiable
from ugro.sampling.sampler import sampler_of
from ugro.schedulers.early_stopping import EarlyStopping
from ugro.space.checks import check_space
from ugro.space.comparability import check_comparable
from ugro.space.composition import Composer, constraints_in, has, idle, without_hydra
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import parse
from ugro.sweep.initial_trials import Planned, planned

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """All that is known before the first trial.

    Attributes:
        trial: a composed trial, ``hydra`` included
        config: the same, typed
        feasible: the search space
        first: what is run before the sampler is asked
        total: trials of the finished study
        as_it_is: the configuration with nothing searched, interpolations as they are written
        data: fingerprints that the data must have, by what of it is searched; where they are known
    """

    trial: DictConfig
    config: Config
    feasible: FeasibleSpace
    first: Sequence[Planned]
    total: int
    as_it_is: Mapping[str, Any]
    data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def early_stopping(self) -> EarlyStopping:
        """Who says which trials go on; it has heard of none."""
        of = self.config
        return EarlyStopping(
            self.trial.scheduler, of.stoppers, objectives_of(of.objectives), of.seed
        )


def plan_of(config: DictConfig, loader: ConfigLoader, arguments: list[str]) -> Plan:
    """Check what was asked for and plan it.

    Args:
        config: the sweep's configuration; its study has its final name
        loader: Hydra's, which composes a trial's configuration
        arguments: the command line's overrides

    Raises:
        UserError: something that was asked for is impossible.
    """
    settings = config.hydra.sweeper
    check_jobs(settings["n_jobs"])
    space = parse(settings["params"], arguments, settings["conditions"])
    composer = Composer(space, config, loader)
    check_conditions(settings["conditions"], composer.compose({}))
    for key, why in idle(space, composer.compose({})).items():
        log.warning("%s is not searched, it would change nothing: %s", key, why)
        space = space.without(key)
    feasible = FeasibleSpace(space, composer, constraints_in(composer.compose({})))
    check_space(feasible)
    trial = composer.compose(next(space.around_the_first(), {})).copy()
    of = typed(without_hydra(trial))
    check_comparable(space.distributions, of)
    check_satisfiable(feasible, of.seed)
    first = planned(of.study, bool(settings["params"]), feasible)
    held = None if of.study.allow_duplicates else feasible.size
    asked = settings["n_trials"]
    total = total_trials(held, asked, of.study.max_trials)
    if not space.distributions:
        log.info("Nothing to search: one trial of the configuration as it is")
    elif held and asked and held < asked:
        log.info("The space holds %d configurations: %d trials, not %d", held, total, asked)
    unsearched: Any = OmegaConf.to_container(
        without_hydra(composer.compose({})), resolve=False, enum_to_str=True
    )
    plan = Plan(trial, of, feasible, first, total, unsearched)
    plan.early_stopping().check()
    sampler_of(trial.hydra.sweeper.sampler, feasible.space, 0, 0)  # refuses some spaces
    return plan


def check_conditions(conditions: Mapping[str, str], config: DictConfig) -> None:
    """Raise UserError where a condition is of a key that there is not."""
    unknown = [key for key in conditions if not has(config, key)]
    if unknown:
        lines = (f"hydra.sweeper.conditions.{no_key(key)}" for key in unknown)
        raise UserError("\n".join(lines))


def check_jobs(n_jobs: object) -> None:
    """Raise UserError unless it is auto or a whole number above 0."""
    if n_jobs != "auto" and not (isinstance(n_jobs, int) and n_jobs >= 1):
        raise UserError(fault("hydra.sweeper.n_jobs", n_jobs, "auto, or 1 or more"))


def total_trials(held: int | None, n_trials: int | None, max_trials: int | None) -> int:
    """How many trials the study has when it is done.

    Args:
        held: how many configurations the space holds; None where there is no end to them
        n_trials: ``hydra.sweeper.n_trials``
        max_trials: ``study.max_trials``

    Raises:
        UserError: the space is continuous and nobody said how many.
    """
    for key, given in (("hydra.sweeper.n_trials", n_trials), ("study.max_trials", max_trials)):
        if given is not None and given < 1:
            raise UserError(fault(key, given, "1 or more"))
    asked = [given for given in (n_trials, max_trials) if given is not None]
    if held is None and not asked:
        allowed = "a number, as the space is continuous"
        raise UserError(fault("hydra.sweeper.n_trials", None, allowed))
    return min([*asked, *([] if held is None else [held])])
