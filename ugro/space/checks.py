"""Checks of a search space before any trial starts."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ugro.config import typed
from ugro.config.validation.adapters import adapter_of_key, without_effect
from ugro.config.validation.validation import validate
from ugro.errors import UserError, fault
from ugro.space.composition import has, without_hydra
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import SearchSpace, extreme_values

ADAPTER = "adapter"
MAX_COMBINATIONS = 256  # larger spaces are checked at each key's choices and bounds only
# Keys that are evaluated once per study: a sweep over them would use the first value in all trials.
OF_THE_STUDY = (
    r"[+~]*(hydra|study|scheduler|objectives|constraints|stoppers"
    r"|tracking|monitoring|estimate|search_space|experiment)\b"
)


def check_space(feasible: FeasibleSpace) -> None:
    """Compose and validate the configurations that the space may propose.

    Raises:
        UserError: all faults found, one per line.
    """
    space = feasible.space
    of_the_study = [key for key in space.distributions if re.match(OF_THE_STUDY, key)]
    if of_the_study:
        allowed = "keys of a trial; this key applies to the entire study"
        raise UserError("\n".join(fault(key, "a sweep", allowed) for key in of_the_study))
    config = feasible.composer.compose({})
    for key, condition in space.conditions.items():
        unknown = sorted(name for name in condition.names if not has(config, name))
        if unknown:
            where = f"hydra.sweeper.conditions.{key}"
            raise UserError(fault(where, unknown[0], "keys of the configuration"))
    if of_others := list(_adapter_faults(space, config.adapter.name)):
        raise UserError("\n".join(of_others))
    candidates = _candidates(feasible)
    found = [fault for parameters in candidates for fault in _faults(parameters, feasible)]
    if found:
        raise UserError("\n".join(dict.fromkeys(found)))


def _candidates(feasible: FeasibleSpace) -> Iterator[dict[str, Any]]:
    """Yield configurations as trials have them, without keys whose condition does not hold."""
    space = feasible.space
    exhaustive = space.size is not None and space.size <= MAX_COMBINATIONS
    yield from map(feasible.active, space.combinations() if exhaustive else space.one_at_a_time())
    for single in () if exhaustive else space.single_parameters():
        if not single.keys() <= set(feasible.unconditional):
            among = (feasible.active({**other, **single}) for other in space.one_at_a_time())
            yield from islice((one for one in among if single.keys() <= one.keys()), 1)


def _adapter_faults(space: SearchSpace, configured: str) -> Iterator[str]:
    """Yield the searched keys of adapters that trials do not have, or not all of them."""
    searched = space.distributions.get(ADAPTER)
    adapters = [configured] if searched is None else list(map(str, extreme_values(searched)))
    for key in space.distributions:
        of = adapter_of_key(key)
        if of is None:
            continue
        if of not in adapters:
            yield without_effect(key, "a sweep", adapters)
        elif len(adapters) > 1 and key not in space.conditions:
            allowed = f"with the condition hydra.sweeper.conditions.{key}: {ADAPTER} == '{of}'"
            yield fault(key, "a sweep", allowed)


def _faults(parameters: Mapping[str, Any], feasible: FeasibleSpace) -> Iterator[str]:
    try:
        config = feasible.composer.compose(parameters)
    except UserError as error:
        lines = str(error).splitlines()
        yield from lines
        keys = [line.partition(":")[0] for line in lines]
        valid = {key: value for key, value in parameters.items() if key not in keys}
        config = feasible.composer.compose(valid)  # to validate the other keys, too
    else:
        if feasible.broken(parameters):
            return
    try:
        validate(typed(without_hydra(config)))
    except UserError as error:
        yield from str(error).splitlines()
