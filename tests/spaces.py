"""Search spaces as a sweep sees them."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from ugro.config import ConstraintsConfig
from ugro.objectives.constraints import constraints_of
from ugro.space.composition import Composer
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import parse

from .conftest import ROOT

Feasible = Callable[..., FeasibleSpace]


@pytest.fixture(scope="session")
def feasible() -> Feasible:
    """``feasible("lora.r=4,8", ..., constraints=["lora.r > 4"], conditions={...})``."""
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", ["study.name=s"], RunMode.MULTIRUN)

    def _feasible(
        *arguments: str,
        constraints: Sequence[str] = (),
        conditions: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> FeasibleSpace:
        space = parse(params or {}, arguments, conditions)
        composer = Composer(space, master, loader)
        config = ConstraintsConfig(list(constraints))
        return FeasibleSpace(space, composer, constraints_of(config, lambda key: True))

    return _feasible
