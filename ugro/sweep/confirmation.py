"""The confirmation of a study's best: a study of its own, with other seeds.

Its trials are the best configurations and the baseline, some seeds each; its space is that of the
study and the seed. So it goes on like any study, and who watches knows it as one.
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

from ugro.config import SchedulerConfig, typed
from ugro.events.outcome import Outcome
from ugro.paths import CONFIRM
from ugro.space.composition import Composer, without_hydra
from ugro.space.feasible import FeasibleSpace, identity
from ugro.space.search_space import SearchSpace, corner_values
from ugro.study.study import Study, ending, read, source
from ugro.sweep.definition import starts_anew
from ugro.sweep.initial_trials import NOWHERE, Planned, member
from ugro.sweep.plan import Plan

log = logging.getLogger(__name__)
SEED = "seed"
SEEDS = 2**32  # that NumPy takes
NO_SCHEDULER = "ugro.schedulers.no_scheduler.NoScheduler"
# Limits are the search's, and what is run is named here.
NOT_AGAIN = (
    "study.confirm=0",
    "study.max_trials=null",
    "study.max_seconds=null",
    "study.max_tokens=null",
    "study.target=null",
    "study.enqueue=[]",
    "study.warm_start=[]",
    "study.allow_duplicates=false",
    "study.allow_change=true",  # it follows the study, which was checked
)
CUT_SHORT = (Outcome.RUNG, Outcome.STUDY_LIMIT)  # a baseline that ended so would do at full length


def confirm_best(plan: Plan, config: DictConfig, loader: ConfigLoader) -> Plan | None:
    """The study that confirms; None where there is nothing to confirm.

    Args:
        plan: of the study whose best are confirmed
        config: that study's, as Hydra has composed it
        loader: Hydra's
    """
    of, settings, space = plan.config, plan.trial.hydra.sweeper, plan.feasible.space
    study = read(settings["study_name"], settings["storage"])
    chosen = _chosen(study, of.study.confirm, space)
    if not chosen:
        log.info("Nothing to confirm: no trial is complete")
        return None
    seeds = seeds_of(plan)
    log.info("To be confirmed: trials %s, each with seeds %s", _listed(chosen), _listed(seeds))
    widened = SearchSpace(
        {**space.distributions, SEED: IntDistribution(0, SEEDS - 1)},
        _fixed(space.fixed, (*_placed(of.study.name, of.study.dir), *NOT_AGAIN)),
        space.conditions,
    )
    composer = Composer(widened, config, loader)
    # A seed of all before the next one: what there is by then can be compared.
    first = [
        Planned({**parameters, SEED: seed}, f"trial {number}")
        for seed in seeds
        for number, parameters in chosen.items()
    ]
    trial = _unjudged(composer.compose(first[0].parameters).copy())
    trial.hydra.sweeper.sampler = RandomSamplerConfig()  # which is never asked
    as_it_is: Any = OmegaConf.to_container(
        without_hydra(_unjudged(composer.compose({}).copy())), resolve=False, enum_to_str=True
    )
    again = replace(
        plan,
        trial=trial,
        config=typed(without_hydra(trial)),
        feasible=FeasibleSpace(widened, composer, plan.feasible.constraints),
        first=first,
        total=len(first),
        as_it_is=as_it_is,
        data=study.data(),
    )
    return replace(again, total=len(first) + _others(again))


def seeds_of(plan: Plan) -> list[int]:
    """The seeds after the study's own: with that one the best were found, some by luck."""
    searched = plan.feasible.space.distributions.get(SEED)
    used = [plan.config.seed, *(corner_values(searched) if searched else ())]
    return [(max(used) + 1 + at) % SEEDS for at in range(plan.config.study.confirm_seeds)]


def _chosen(study: Study, count: int, space: SearchSpace) -> dict[int, dict[str, Any]]:
    """The parameters of the best distinct configurations and of the baseline, by trial number."""
    chosen: dict[int, dict[str, Any]] = {}
    known: set[object] = set()
    for trials, most in ((_ranked(study), count), (_baseline(study), count + 1)):
        for trial in trials:
            parameters = {key: value for key, value in trial.params.items() if key != SEED}
            if len(chosen) < most and identity(parameters) not in known:
                if _is_in(parameters, space):
                    chosen[trial.number] = parameters
                    known.add(identity(parameters))
                else:
                    log.warning("Trial %d is not confirmed: it is not in the space", trial.number)
    return chosen


def _ranked(study: Study) -> list[FrozenTrial]:
    """The complete trials, the best first; of several objectives the front, by the first one."""
    if len(study.objectives) == 1:
        return study.ranked()
    front = {trial.number for trial in study.front()}
    return [trial for trial in study.ranked() if trial.number in front]


def _baseline(study: Study) -> Iterator[FrozenTrial]:
    """The trial that ran the configuration as it was, unless it would fail again."""
    for trial in study.finished():
        usable = trial.state is TrialState.COMPLETE or ending(trial) in CUT_SHORT
        if source(trial) == "baseline" and usable:
            yield trial


def _is_in(parameters: Mapping[str, Any], space: SearchSpace) -> bool:
    over = space.distributions
    return all(
        key in over and member(over[key], value) is not NOWHERE for key, value in parameters.items()
    )


def _placed(name: str, folder: str) -> tuple[str, str]:
    """Overrides: within the study, under its name."""
    return (
        f"study.name={_quoted(f'{name}/{CONFIRM}')}",
        f"study.dir={_quoted(f'{folder}/{CONFIRM}')}",
    )


def _fixed(given: Sequence[str], instead: Sequence[str]) -> tuple[str, ...]:
    """The study's overrides, those of the same keys replaced."""
    keys = {one.partition("=")[0] for one in instead}
    kept = [one for one in given if one.partition("=")[0].lstrip("+") not in keys]
    return (*kept, *instead)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def _unjudged(config: DictConfig) -> DictConfig:
    """The configuration of a study that stops no trial for being behind.

    An override could not say it: keys of the search's own scheduler would not fit.
    """
    config.scheduler = SchedulerConfig(NO_SCHEDULER, config.scheduler.time_attr)
    return config


def _others(plan: Plan) -> int:
    """How many trials of an earlier confirmation count with the first ones now."""
    settings = plan.trial.hydra.sweeper
    try:
        earlier = read(settings["study_name"], settings["storage"])
    except KeyError:
        return 0
    if starts_anew(earlier, plan):
        return 0
    now = {identity(one.parameters) for one in plan.first}
    return sum(identity(one.params) not in now for one in earlier.trials())


def _listed(numbers: Sequence[int] | Mapping[int, Any]) -> str:
    return ", ".join(map(str, numbers))
