"""Would every trial of the space be possible? Asked before anything is started."""

from collections.abc import Mapping
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ugro.config import typed
from ugro.errors import UserError
from ugro.sweep.search_space import SearchSpace, override
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
    faults: dict[str, None] = {}
    for parameters in space.combinations() if exhaustive else space.corners():
        try:
            validate(typed(_with(shared, parameters, space, master, loader)))
        except UserError as error:
            faults |= dict.fromkeys(str(error).splitlines())
    if faults:
        raise UserError("\n".join(faults))


def _composed(overrides: list[str], master: DictConfig, loader: ConfigLoader) -> DictConfig:
    config = loader.load_sweep_config(master, overrides)
    with open_dict(config):
        del config["hydra"]
    return config


def _with(
    shared: DictConfig,
    parameters: Mapping[str, Any],
    space: SearchSpace,
    master: DictConfig,
    loader: ConfigLoader,
) -> DictConfig:
    """A trial's configuration; only where a whole group is searched it is composed anew."""
    nodes = {key: OmegaConf.select(shared, key, throw_on_missing=False) for key in parameters}
    if any(isinstance(node, DictConfig) or key[0] in "+~" for key, node in nodes.items()):
        return _composed(space.overrides(parameters), master, loader)
    config = shared.copy()
    parser = OverridesParser.create()
    for key, value in parameters.items():
        parsed = parser.parse_override(override(key, value))
        try:
            OmegaConf.update(config, key, parsed.value(), force_add=False)
        except OmegaConfBaseException as error:
            raise UserError(f"{key}: {value!r} given ({str(error).splitlines()[0]})") from error
    return config
