"""A trial's configuration is the same on every executor: Ray workers set values, Hydra composes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobStatus
from hydra.types import RunMode
from omegaconf import DictConfig

from tests.conftest import ROOT
from ugro.config import ConstraintsConfig
from ugro.events.channel import Answer
from ugro.events.trial_report import Report
from ugro.executors.executor import Task
from ugro.objectives.constraints import constraints_of
from ugro.sampling.optuna_sampler import random_sampler
from ugro.space.composition import Composer
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import parse

from .scripted import executor_for

NAMED = sorted(path.stem for path in (ROOT / "conf" / "search_space").glob("*.yaml"))
# Other kinds of values on a command line: groups, lists, booleans, null.
EXTRA = (
    "model=tiny,smollm2_135m",
    "lora.use_dora=true,false",
    "training.max_tokens=null,4096",
)
Written = Callable[[str, str], list[str]]


def nothing(config: DictConfig) -> Any:
    """End at once; Hydra has written the configuration."""


class Listener:
    def interrupted(self) -> bool:
        return False

    def started(self, number: int, worker: str) -> None:
        pass

    def reported(self, number: int, report: Report) -> Answer:
        return Answer.CONTINUE


@pytest.fixture
def written(tmp_path: Path, _ray: None) -> Iterator[Written]:
    """Return a function that runs trials and reads their ``.hydra/config.yaml``."""
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()

        def _written(launcher: str, name: str) -> list[str]:
            folder = tmp_path / launcher
            overrides = ["study.name=s", f"search_space={name}", f"hydra/launcher={launcher}"]
            overrides.append(f"hydra.sweep.dir={folder}")
            config = loader.load_configuration("config", overrides, RunMode.MULTIRUN)
            executor = executor_for(config, loader, nothing)
            sweeper = config.hydra.sweeper
            space = parse(sweeper.params, [*overrides[:2], *EXTRA], sweeper.conditions)
            composer = Composer(space, config, loader)
            constraints = constraints_of(ConstraintsConfig([]), lambda key: True)
            draws = random_sampler(FeasibleSpace(space, composer, constraints), seed=0)
            for number in range(4):
                parameters = draws.ask().parameters
                shared, values = composer.shared(parameters)
                executor.submit(Task(number, space.overrides(parameters), shared, values, None, 60))
            for _ in range(4):
                ended = executor.wait(Listener(), 120)
                assert ended is not None
                assert ended[1].status is JobStatus.COMPLETED
            trials = sorted((folder / "trials").iterdir())
            return [(trial / ".hydra" / "config.yaml").read_text() for trial in trials]

        yield _written


@pytest.mark.parametrize("name", NAMED)
def test_a_trial_has_the_same_configuration_in_this_process_and_on_ray(
    name: str, written: Written
) -> None:
    in_process, on_ray = written("basic", name), written("ray_local", name)
    assert on_ray == in_process
    assert len(in_process) == 4
    assert len(set(in_process)) > 1
