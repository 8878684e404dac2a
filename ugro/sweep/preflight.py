"""Would every trial of the space be possible? Asked before anything is started."""

from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ugro.config import typed
from ugro.errors import UserError
from ugro.sweep.search_space import SearchSpace, corner_values, override
from ugro.validation import validate

MOST_COMBINATIONS = 256  # up to here all are checked; beyond, each key's choices and bounds


def check_space(space: SearchSpace, master: DictConfig, loader: ConfigLoader) -> None:
    """Compose and validate what the space may propose.

    Args:
        space: the searched keys and the fixed overrides
        master: the sweep's configuration
        loader: Hydra's, which composes a trial's configuration

    Raises:
        UserError: every fault that was found, a line each.
    """
    exhaustive = space.size is not None and space.size <= MOST_COMBINATIONS
    shared = _composed(space.overrides({}), master, loader)
    found = [
        fault
        for parameters in (space.combinations() if exhaustive else _around_the_first(space))
        for fault in _faults(parameters, shared, space, master, loader)
    ]
    if found:
        raise UserError("\n".join(dict.fromkeys(found)))


def _around_the_first(space: SearchSpace) -> Iterator[dict[str, Any]]:
    """Each corner, the other keys at their first: what conf/ says of a searched key is not run."""
    first = {key: corner_values(over)[0] for key, over in space.distributions.items()}
    return ({**first, **corner} for corner in space.corners())


def _composed(overrides: list[str], master: DictConfig, loader: ConfigLoader) -> DictConfig:
    config = loader.load_sweep_config(master, overrides)
    with open_dict(config):
        del config["hydra"]
    return config


def _faults(
    parameters: Mapping[str, Any],
    shared: DictConfig,
    space: SearchSpace,
    master: DictConfig,
    loader: ConfigLoader,
) -> Iterator[str]:
    """What is wrong with a trial; only where a whole group is searched it is composed anew."""
    groups = loader.list_groups("")
    if any(key in groups or key[0] in "+~" for key in parameters):
        config = _composed(space.overrides(parameters), master, loader)
    else:
        config = shared.copy()
        parser = OverridesParser.create()
        for key, value in parameters.items():
            parsed = parser.parse_override(override(key, value))
            try:
                OmegaConf.update(config, key, parsed.value(), force_add=False)
            except OmegaConfBaseException as error:
                yield f"{key}: {value!r} given ({str(error).splitlines()[0]})"
    try:
        validate(typed(config))
    except UserError as error:
        yield from str(error).splitlines()
