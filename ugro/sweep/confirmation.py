"""Confirmation of the best trials: a study of its own that repeats them with other seeds.

Its trials are the best configurations and the baseline with several seeds each; its search space is
the study's plus the seed. It can be resumed and observed like any other study.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra_plugins.hydra_optuna_sweeper.config import RandomSamplerConfig
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, TrialState

from ugro.config import StudyConfig, typed
from ugro.events.outcome import Outcome
from ugro.paths import CONFIRM
from ugro.schedulers.auto_scheduler import no_scheduler
from ugro.space.composition import Composer, without_hydra
from ugro.space.feasible import FeasibleSpace, identity
from ugro.space.search_space import SearchSpace, extreme_values
from ugro.study.study import Study, read
from ugro.study.trial_record import recorded_outcome, source
from ugro.sweep.definition import needs_new_group
from ugro.sweep.initial_trials import OUTSIDE, Planned, member
from ugro.sweep.plan import Plan

log = logging.getLogger(__name__)
SEED = "seed"
SEEDS = 2**32  # number of seeds that NumPy accepts
# Limits and initial trials belong to the search.
OVERRIDES = (
    "study.confirm=0",
    "study.max_seconds=null",
    "study.max_tokens=null",
    "study.target=null",
    "study.enqueue=[]",
    "study.warm_start=[]",
    "study.allow_duplicates=false",
    "study.allow_change=true",  # the study itself was checked
)
# A baseline that was stopped so can run to its end.
CUT_SHORT = (Outcome.RUNG, Outcome.PAUSED, Outcome.STUDY_LIMIT)


def confirm_best(plan: Plan, config: DictConfig, loader: ConfigLoader) -> Plan | None:
    """Plan the confirmation of a study's best trials; None if no trial is complete.

    Args:
        plan: plan of the study to confirm
        config: configuration of that study as composed by Hydra
        loader: Hydra's config loader
    """
    settings, space = plan.trial.hydra.sweeper, plan.feasible.space
    study = read(settings["study_name"], settings["storage"])
    chosen = _chosen(study, plan.config.study.confirm, space)
    if not chosen:
        log.info("Nothing to confirm: no trial is complete")
        return None
    seeds = seeds_of(plan)
    log.info("Confirming trials %s, each with seeds %s", _listed(chosen), _listed(seeds))
    widened = SearchSpace(
        {**space.distributions, SEED: IntDistribution(0, SEEDS - 1)},
        _replaced(space.fixed, (*_location(plan.config.study), *OVERRIDES)),
        space.conditions,
    )
    composer = Composer(widened, config, loader)
    # Seed by seed, so that an interrupted confirmation can be compared.
    first = [
        Planned({**parameters, SEED: seed}, f"trial {number}")
        for seed in seeds
        for number, parameters in chosen.items()
    ]
    trial = _without_scheduler(composer.compose(first[0].parameters).copy())
    trial.hydra.sweeper.sampler = RandomSamplerConfig()  # never used, as all trials are initial
    base_config: Any = OmegaConf.to_container(
        without_hydra(_without_scheduler(composer.compose({}).copy())),
        resolve=False,
        enum_to_str=True,
    )
    confirmation = replace(
        plan,
        trial=trial,
        config=typed(without_hydra(trial)),
        feasible=FeasibleSpace(widened, composer, plan.feasible.constraints),
        first=first,
        total=len(first),
        base_config=base_config,
        data=study.data(),
    )
    return replace(confirmation, total=len(first) + _count_other_trials(confirmation))


def seeds_of(plan: Plan) -> list[int]:
    """Return the seeds after the study's own, by which the best trials were selected."""
    searched = plan.feasible.space.distributions.get(SEED)
    used = [plan.config.seed, *(extreme_values(searched) if searched else ())]
    return [(max(used) + 1 + offset) % SEEDS for offset in range(plan.config.study.confirm_seeds)]


def _chosen(study: Study, count: int, space: SearchSpace) -> dict[int, dict[str, Any]]:
    """Return the best distinct configurations and the baseline, by trial number."""
    chosen: dict[int, dict[str, Any]] = {}
    identities: set[object] = set()
    for trials, limit in ((_ranked(study), count), (_baseline(study), count + 1)):
        for trial in trials:
            parameters = {key: value for key, value in trial.params.items() if key != SEED}
            if len(chosen) < limit and identity(parameters) not in identities:
                if _is_in(parameters, space):
                    chosen[trial.number] = parameters
                    identities.add(identity(parameters))
                else:
                    log.warning("Trial %d is not confirmed: it is not in the space", trial.number)
    return chosen


def _ranked(study: Study) -> list[FrozenTrial]:
    """Return complete trials, best first; with several objectives the front, by the first."""
    if len(study.objectives) == 1:
        return study.ranked()
    front = {trial.number for trial in study.front()}
    return [trial for trial in study.ranked() if trial.number in front]


def _baseline(study: Study) -> Iterator[FrozenTrial]:
    """Yield the baseline trial, unless it would fail again."""
    for trial in study.finished():
        usable = trial.state is TrialState.COMPLETE or recorded_outcome(trial) in CUT_SHORT
        if source(trial) == "baseline" and usable:
            yield trial


def _is_in(parameters: Mapping[str, Any], space: SearchSpace) -> bool:
    over = space.distributions
    return all(
        key in over and member(over[key], value) is not OUTSIDE for key, value in parameters.items()
    )


def _location(study: StudyConfig) -> tuple[str, str]:
    """Return overrides that place the confirmation in the study's folder."""
    return (
        f"study.name={_quoted(f'{study.name}/{CONFIRM}')}",
        f"study.dir={_quoted(f'{study.dir}/{CONFIRM}')}",
    )


def _replaced(overrides: Sequence[str], replacements: Sequence[str]) -> tuple[str, ...]:
    """Replace overrides of the same keys."""
    keys = {override.partition("=")[0] for override in replacements}
    kept = [o for o in overrides if o.partition("=")[0].lstrip("+") not in keys]
    return (*kept, *replacements)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def _without_scheduler(config: DictConfig) -> DictConfig:
    """Disable early stopping in a configuration.

    An override cannot do this, as the keys of the search's scheduler do not fit.
    """
    config.scheduler = no_scheduler(config.scheduler)
    return config


def _count_other_trials(plan: Plan) -> int:
    """Count trials of an earlier confirmation that are not planned again."""
    settings = plan.trial.hydra.sweeper
    try:
        earlier = read(settings["study_name"], settings["storage"])
    except KeyError:
        return 0
    if needs_new_group(earlier, plan):
        return 0
    planned = {identity(trial.parameters) for trial in plan.first}
    return sum(identity(trial.params) not in planned for trial in earlier.trials())


def _listed(numbers: Sequence[int] | Mapping[int, Any]) -> str:
    return ", ".join(map(str, numbers))
