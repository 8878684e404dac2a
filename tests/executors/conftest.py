"""Executors of each kind; Ray is started once for all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from tests.conftest import ROOT

from .scripted import ON_RAY, Driver, Make, executor_for, scripted


@pytest.fixture(scope="package")
def _ray() -> Iterator[None]:
    import ray

    os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it if it is not set
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=1,  # declared only: placement does not need the device
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
    """Return a function that builds a driver: ``make("hydra/launcher=basic", ...)``."""

    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()

        def _make(*overrides: str) -> Driver:
            given = [f"hydra.sweep.dir={tmp_path}", *overrides]
            config = loader.load_configuration("config", given, RunMode.MULTIRUN)
            return Driver(executor_for(config, loader, scripted), config, loader)

        yield _make


@pytest.fixture(params=[("hydra/launcher=basic",), ON_RAY], ids=["basic", "ray"])
def driver(request: pytest.FixtureRequest, make: Make) -> Driver:
    return make(*request.param)
