"""What many tests need: composed configurations, one cache, the command line as a user runs it."""

import gc
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from ugro.config import Config, register_schema, typed
from ugro.plugins.sweeper import register_plugins

from .forked import completed

ROOT = Path(__file__).parents[1]

# A trial of well under a second.
QUICK = (
    "model=tiny",
    "data.block_size=32",
    "data.max_train_examples=64",
    "data.max_eval_examples=8",
    "training.max_steps=4",
    "training.eval_steps=2",
    "training.batch_size=4",
    "training.dtype=fp32",  # so that losses are the same on a GPU
    "study.analysis=false",
    "tracking=none",
)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules: Trainer calls it, and it takes half a second."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _registered() -> None:
    register_schema()
    register_plugins()


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole session, empty at its start."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session", autouse=True)
def _cache_in_environment(cache_dir: Path) -> None:
    os.environ["UGRO_CACHE_DIR"] = str(cache_dir)
    os.environ["OMP_NUM_THREADS"] = "1"  # tests run side by side
    # As in an active environment: commands that are printed call ``python``.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Hydra, Ray and MLflow set up the whole process's logging: each test finds it untouched."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(scope="session")
def composed(_registered: None) -> Callable[..., DictConfig]:
    """``composed("model=tiny", ...)``: the configuration as Hydra composes it, for the test alone.

    Hydra takes a quarter of a second, and many tests begin with the same overrides.
    """

    @cache
    def _compose(*overrides: str, with_hydra: bool) -> DictConfig:
        with initialize_config_dir(config_dir=str(ROOT / "conf")):
            return compose("config", overrides=list(overrides), return_hydra_config=with_hydra)

    def _copy(*overrides: str, with_hydra: bool = False) -> DictConfig:
        return deepcopy(_compose(*overrides, with_hydra=with_hydra))

    return _copy


@pytest.fixture(scope="session")
def settings(composed: Callable[..., DictConfig]) -> Callable[..., Config]:
    """``settings("model=tiny", ...)``: the configuration as dataclasses."""

    def _settings(*overrides: str) -> Config:
        return typed(composed("study.name=test", *overrides))

    return _settings


@pytest.fixture
def train_py(tmp_path: Path, cache_dir: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``train_py("-m", "lora.r=8,16")``: the command in a folder of its own.

    It is forked, see ``forked.py``; with ``fresh=True`` it has an interpreter of its own, as when
    a user runs it.
    """

    def _run(
        *arguments: str, module: str | None = None, fresh: bool = False, seconds: float = 280
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "UGRO_CACHE_DIR": str(cache_dir), "COLUMNS": "200"}
        if not fresh:
            return completed(module or ROOT / "train.py", arguments, tmp_path, environment, seconds)
        command = ["-m", module] if module else [str(ROOT / "train.py")]
        return subprocess.run(
            [sys.executable, *command, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    return _run
