"""Executor of each kind; Ray is started once for all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from tests.conftest import ROOT

from .scripted import ON_RAY, Driver, Make, scripted, slots_for


@pytest.fixture(scope="package")
def _ray() -> Iterator[None]:
    import ray

    os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it, where nobody else did
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=1,  # declared: what fits where does not need the device
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
    )
    yield
    ray.shutdown()
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture
def make(tmp_path: Path, _ray: None) -> Iterator[Make]:
    """``make("hydra/launcher=basic", ...)``: the slots of such a sweep."""

    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()

        def _make(*overrides: str) -> Driver:
            given = [f"hydra.sweep.dir={tmp_path}", *overrides]
            config = loader.load_configuration("config", given, RunMode.MULTIRUN)
            return Driver(slots_for(config, loader, scripted), config, loader)

        yield _make


@pytest.fixture(params=[("hydra/launcher=basic",), ON_RAY], ids=["basic", "ray"])
def slots(request: pytest.FixtureRequest, make: Make) -> Driver:
    return make(*request.param)
