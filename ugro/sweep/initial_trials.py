"""Trials before the sampler is asked: baseline, known configurations, what was best before."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ugro.config import StudyConfig, no_key
from ugro.errors import UserError, fault
from ugro.paths import DATABASE
from ugro.space.composition import has, lookup, parsed
from ugro.space.feasible import FeasibleSpace, identity
from ugro.space.search_space import described
from ugro.study.study import read_renamed

log = logging.getLogger(__name__)
NOWHERE = object()


@dataclass(frozen=True)
class Planned:
    """A configuration to be run; what it leaves open the sampler fills in."""

    parameters: Mapping[str, Any]
    source: str


def planned(study: StudyConfig, named: bool, feasible: FeasibleSpace) -> list[Planned]:
    """What the configuration asks for, each once.

    Args:
        study: ``study.{baseline,enqueue,warm_start,warm_start_trials}``
        named: whether a named space is searched; choices on the command line run as given
        feasible: the search space

    Raises:
        UserError: ``enqueue`` has a key that is not searched, a value outside the space or one
            that breaks a constraint; an earlier study is not there.
    """
    asked = [
        *(_baseline(feasible) if study.baseline and named else ()),
        *(_enqueued(parameters, feasible) for parameters in study.enqueue),
        *(one for earlier in study.warm_start for one in _best_of(earlier, study, feasible)),
    ]
    once: dict[object, Planned] = {}
    for one in asked:
        once.setdefault(identity(one.parameters), one)
    return list(once.values())


def _baseline(feasible: FeasibleSpace) -> Iterator[Planned]:
    config = feasible.composer.compose({})
    own: dict[str, Any] = {}
    for key, over in feasible.space.distributions.items():
        value = lookup(config, key)
        own[key] = member(over, value)
        if own[key] is NOWHERE:
            log.warning("No baseline trial: %s=%s is not in the space", key, value)
            return
    active = {key: value for key, value in own.items() if feasible.is_active(key, own)}
    reasons = feasible.broken(active)
    if reasons:
        log.warning("No baseline trial: the configuration breaks %s", " and ".join(reasons))
        return
    yield Planned(active, "baseline")


def _enqueued(parameters: Mapping[str, Any], feasible: FeasibleSpace) -> Planned:
    searched = feasible.space.distributions
    found: dict[str, Any] = {}
    for key, value in parameters.items():
        over = searched.get(key)
        if over is None:
            if not has(feasible.composer.compose({}), key):
                raise UserError(f"study.enqueue: {no_key(key)}")
            raise UserError(fault("study.enqueue", key, ", ".join(searched)))
        found[key] = member(over, value)
        if found[key] is NOWHERE:
            raise UserError(fault(f"study.enqueue: {key}", value, described(over)))
    if set(found) == set(searched) and (reasons := feasible.broken(found)):
        raise UserError(fault("study.enqueue", dict(parameters), " and ".join(reasons)))
    return Planned(found, "enqueued")


def _best_of(earlier: str, study: StudyConfig, feasible: FeasibleSpace) -> Iterator[Planned]:
    """The best trials of an earlier study, as far as this space has their keys and values."""
    searched = feasible.space.distributions
    folder = Path(earlier) if Path(earlier, DATABASE).exists() else Path(study.dir).parent / earlier
    database = folder / DATABASE
    if not database.exists():
        allowed = f"a study's name or folder; there is no {database}"
        raise UserError(fault("study.warm_start", earlier, allowed))
    try:
        trials = read_renamed(folder.name, f"sqlite:///{database}").ranked()
    except KeyError as error:
        raise UserError(
            fault("study.warm_start", earlier, "a folder of its study's name")
        ) from error
    config = feasible.composer.compose({})
    for trial in trials[: study.warm_start_trials]:
        unknown = [key for key in trial.params if key not in searched and not has(config, key)]
        if unknown:
            raise UserError(f"study.warm_start: {earlier}: {no_key(unknown[0])}")
        shared = {
            key: member(searched[key], value)
            for key, value in trial.params.items()
            if key in searched
        }
        known = {key: value for key, value in shared.items() if value is not NOWHERE}
        if known and not (set(known) == set(searched) and feasible.broken(known)):
            yield Planned(known, "warm_start")


def member(over: BaseDistribution, value: Any) -> Any:
    """The value as the distribution has it; ``NOWHERE`` if it has not.

    A choice is written as on the command line, ``"[q_proj,v_proj]"`` for a list.
    """
    if isinstance(over, CategoricalDistribution):
        for choice in over.choices:
            if choice == value or parsed(choice) == value:
                return choice
        return NOWHERE
    assert isinstance(over, FloatDistribution | IntDistribution)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOWHERE
    if not over.low <= value <= over.high:
        return NOWHERE
    steps = (value - over.low) / over.step if over.step else 0.0
    return value if abs(steps - round(steps)) < 1e-9 else NOWHERE
