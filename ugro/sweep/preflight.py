"""Would every trial of the space be possible? Asked before anything is started."""

from collections.abc import Iterator, Mapping
from typing import Any

from ugro.config import Config, typed
from ugro.errors import UserError
from ugro.sweep.composition import without_hydra
from ugro.sweep.feasible import FeasibleSpace
from ugro.sweep.survey import check_satisfiable
from ugro.validation import validate

MOST_COMBINATIONS = 256  # up to here all are checked; beyond, each key's choices and bounds


def check_space(feasible: FeasibleSpace, trial: Config) -> None:
    """Compose and validate what the space may propose.

    Args:
        feasible: the search space
        trial: any trial of it

    Raises:
        UserError: every fault that was found, a line each; or no trial satisfies the constraints.
    """
    space = feasible.space
    exhaustive = space.size is not None and space.size <= MOST_COMBINATIONS
    candidates = feasible.combinations() if exhaustive else space.around_the_first()
    found = [fault for parameters in candidates for fault in _faults(parameters, feasible)]
    if found:
        raise UserError("\n".join(dict.fromkeys(found)))
    check_satisfiable(feasible, trial.seed)


def _faults(parameters: Mapping[str, Any], feasible: FeasibleSpace) -> Iterator[str]:
    try:
        if not feasible.broken(parameters):
            validate(typed(without_hydra(feasible.composer.compose(parameters))))
    except UserError as error:
        yield from str(error).splitlines()
