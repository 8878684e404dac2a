"""Hydra's plugins: the streaming sweeper and the Ray launcher; heavy modules are imported late."""

import logging
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_optuna_sweeper.config import SamplerConfig
from hydra_plugins.hydra_ray_launcher._config import RayLauncherConf
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import MISSING, DictConfig, OmegaConf

from ugro.paths import PACKAGE

# Targets that Hydra may call for a _target_ key; trial schedulers have their own list.
CALLABLE = (
    "ugro.plugins.callbacks.*",
    "ugro.logs.*",
    "ugro.plugins.sweeper.*",
    "hydra_plugins.*",
    "optuna.samplers.*",
    "ugro.sampling.auto_sampler.AutoSampler",
)


@dataclass
class AutoSamplerConf(SamplerConfig):  # type: ignore[misc]  # upstream has no types
    """``hydra/sweeper/sampler=auto``."""

    _target_: str = "ugro.sampling.auto_sampler.AutoSampler"
    _partial_: bool = True

    seed: int | None = None
    """Seed of the sampler; null: ``seed``."""


@dataclass
class StreamingSweeperConf:
    """``hydra.sweeper``: the upstream sweeper's keys, with automatic numbers of trials and slots.

    The sampler is any option of upstream's ``hydra/sweeper/sampler``.
    """

    _target_: str = "ugro.plugins.sweeper.StreamingSweeper"
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}])

    sampler: SamplerConfig = MISSING
    """Optuna's sampler and its arguments: hydra/sweeper/sampler=NAME."""

    storage: str | None = None
    """Optuna storage URL: sqlite:///FILE, postgresql://HOST/NAME or journal:///FILE."""

    study_name: str = MISSING
    """Name of the Optuna study."""

    n_trials: int | None = None
    """Total number of trials; null: every combination of a finite space."""

    n_jobs: Any = MISSING
    """Parallel trials; auto: as many as fit."""

    max_failure_rate: float = MISSING
    """Share of failed trials above which the study ends. [share of the study's trials]"""

    params: dict[str, str] = field(default_factory=dict)
    """Searched keys and their ranges, in Hydra's sweep syntax."""

    conditions: dict[str, str] = field(default_factory=dict)
    """Conditions under which a key of params is searched."""

    prior: dict[str, Any] = field(default_factory=dict)
    """Beliefs about good values of searched keys: near and factor (or deviation) of a number, or
    weights of choices."""


class StreamingSweeper(Sweeper):
    """Start a trial whenever a slot is free; pass its result to Optuna at once."""

    def __init__(self, **_: Any) -> None:
        """Ignore Hydra's arguments: :meth:`sweep` reads the configuration."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Create the configured launcher, and fix the study's name.

        Each copy of a configuration would resolve ``${now:...}`` to another name.
        """
        config.study.name = str(config.study.name)
        self._master = config
        self._loader = hydra_context.config_loader
        self._launcher = Plugins.instance().instantiate_launcher(
            config=config, hydra_context=hydra_context, task_function=task_function
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the study."""
        from ugro.sweep.sweeper import run_sweep

        logging.captureWarnings(True)  # to sweep.log
        name = f"study.name={self._master.study.name}"
        given = any(argument.startswith("study.name=") for argument in arguments)
        shared = arguments if given else [name, *arguments]
        run_sweep(self._master, self._loader, self._launcher, shared)


@dataclass
class StreamingRayLauncherConf(RayLauncherConf):  # type: ignore[misc]  # upstream has no types
    """``hydra.launcher``: the upstream launcher's keys, and the names of secrets."""

    _target_: str = "ugro.plugins.sweeper.StreamingRayLauncher"

    secrets: list[str] = field(default_factory=list)
    """Names of environment variables whose values travel with the trials to any node."""


class StreamingRayLauncher(RayLauncher):  # type: ignore[misc]
    """The upstream launcher, which the sweeper wraps in an executor.

    Args:
        ray: arguments of ``ray.init`` and ``ray.remote``
        secrets: names of the driver's environment variables to pass to trials
    """

    def __init__(self, ray: DictConfig, secrets: list[str]) -> None:
        super().__init__(ray)
        self.secrets = tuple(secrets)


def register_plugins() -> None:
    """Register sweeper, launcher and their configurations with Hydra."""
    Plugins.instance().register(StreamingSweeper)
    Plugins.instance().register(StreamingRayLauncher)
    store = ConfigStore.instance().store
    store(group="hydra/sweeper", name="streaming_schema", node=StreamingSweeperConf)
    store(group="hydra/sweeper/sampler", name="auto_schema", node=AutoSamplerConf)
    store(group="hydra/launcher", name="ray_schema", node=StreamingRayLauncherConf)
    OmegaConf.register_resolver("ugro_package", _package, replace=True)


def _package() -> str:
    """Return this package's folder, for nodes that have another version of it or none."""
    return str(PACKAGE)
