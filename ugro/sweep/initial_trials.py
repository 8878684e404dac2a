"""Initial trials of a study: baseline, enqueued configurations and warm starts."""

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
from ugro.study.study import Study, read_renamed

log = logging.getLogger(__name__)
OUTSIDE = object()  # marks a value that a distribution does not contain


@dataclass(frozen=True)
class Planned:
    """Initial trial; the sampler draws the parameters that it leaves open."""

    parameters: Mapping[str, Any]
    source: str


def initial_trials(study: StudyConfig, named: bool, feasible: FeasibleSpace) -> list[Planned]:
    """List the configured initial trials without duplicates.

    Args:
        study: ``study.{baseline,enqueue,warm_start,warm_start_trials}``
        named: whether the space has a config group; sweeps of the command line get no baseline
        feasible: the search space

    Raises:
        UserError: ``enqueue`` has a key that is not searched, a value outside the space or a
            configuration that breaks a constraint; or an earlier study does not exist.
    """
    trials = [
        *(_baseline(feasible) if study.baseline and named else ()),
        *(_enqueued(parameters, feasible) for parameters in study.enqueue),
        *(trial for name in study.warm_start for trial in _best_of(name, study, feasible)),
    ]
    unique: dict[object, Planned] = {}
    for trial in trials:
        unique.setdefault(identity(trial.parameters), trial)
    return list(unique.values())


def _baseline(feasible: FeasibleSpace) -> Iterator[Planned]:
    config = feasible.composer.compose({})
    parameters: dict[str, Any] = {}
    for key, over in {**feasible.unconditional, **feasible.conditional}.items():
        if not feasible.is_active(key, parameters):
            continue
        value = lookup(config, key)
        parameters[key] = member(over, value)
        if parameters[key] is OUTSIDE:
            log.warning("No baseline trial: %s=%s is not in the space", key, value)
            return
    broken = feasible.broken(parameters)
    if broken:
        log.warning("No baseline trial: the configuration breaks %s", " and ".join(broken))
        return
    yield Planned(parameters, "baseline")


def _enqueued(parameters: Mapping[str, Any], feasible: FeasibleSpace) -> Planned:
    searched = feasible.space.distributions
    members: dict[str, Any] = {}
    for key, value in parameters.items():
        over = searched.get(key)
        if over is None:
            if not has(feasible.composer.compose({}), key):
                raise UserError(f"study.enqueue: {no_key(key)}")
            raise UserError(fault("study.enqueue", key, ", ".join(searched)))
        members[key] = member(over, value)
        if members[key] is OUTSIDE:
            raise UserError(fault(f"study.enqueue: {key}", value, described(over)))
    if set(members) == set(searched) and (broken := feasible.broken(members)):
        raise UserError(fault("study.enqueue", dict(parameters), " and ".join(broken)))
    return Planned(members, "enqueued")


def _best_of(name: str, study: StudyConfig, feasible: FeasibleSpace) -> Iterator[Planned]:
    """Yield the best trials of an earlier study, restricted to this space's keys and values."""
    searched = feasible.space.distributions
    folder = Path(name) if Path(name, DATABASE).exists() else Path(study.dir).parent / name
    database = folder / DATABASE
    if not database.exists():
        allowed = f"a study's name or folder; there is no {database}"
        raise UserError(fault("study.warm_start", name, allowed))
    try:
        earlier = read_renamed(folder.name, f"sqlite:///{database}")
    except KeyError as error:
        raise UserError(fault("study.warm_start", name, "a folder of its study's name")) from error
    _check_keys(name, earlier, feasible)
    for trial in earlier.ranked()[: study.warm_start_trials]:
        shared = {
            key: member(searched[key], value)
            for key, value in trial.params.items()
            if key in searched
        }
        members = {key: value for key, value in shared.items() if value is not OUTSIDE}
        if members and not (set(members) == set(searched) and feasible.broken(members)):
            yield Planned(members, "warm_start")


def _check_keys(name: str, earlier: Study, feasible: FeasibleSpace) -> None:
    """Refuse an earlier study whose keys the configuration lacks.

    Names of another program need not be keys; an imported study that has none of the searched keys
    is refused.

    Raises:
        UserError: a key is unknown, or an imported study has no searched key.
    """
    config, keys = feasible.composer.compose({}), earlier.searched()
    unknown = [key for key in keys if key not in feasible.space.distributions]
    unknown = [key for key in unknown if not has(config, key)]
    if not earlier.imported_from:
        if unknown:
            raise UserError(f"study.warm_start: {name}: {no_key(unknown[0])}")
        return
    if keys and not set(keys) & set(feasible.space.distributions):
        allowed = (
            f"a study of searched keys; this one has {', '.join(keys)}: "
            f"import it with keys={{{next(iter(keys))}: KEY}}"
        )
        raise UserError(fault("study.warm_start", name, allowed))
    if unknown:
        log.warning("study.warm_start: %s: no keys and not used: %s", name, ", ".join(unknown))


def member(over: BaseDistribution, value: Any) -> Any:
    """Return the value as the distribution represents it, or ``OUTSIDE``.

    A list is represented as on the command line: ``"[q_proj,v_proj]"``.
    """
    if isinstance(over, CategoricalDistribution):
        for choice in over.choices:
            if choice == value or parsed(choice) == value:
                return choice
        return OUTSIDE
    assert isinstance(over, FloatDistribution | IntDistribution)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return OUTSIDE
    if not over.low <= value <= over.high:
        return OUTSIDE
    steps = (value - over.low) / over.step if over.step else 0.0
    return value if abs(steps - round(steps)) < 1e-9 else OUTSIDE
