"""Compose the plan of a command line without launching a sweep."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from optuna.distributions import BaseDistribution

from ugro.config import register_schema
from ugro.plugins.sweeper import register_plugins
from ugro.schedulers.stoppers import Divergence
from ugro.sweep.plan import Plan, plan_of

ROOT = Path(__file__).parents[2]


def compose_plan(*overrides: str) -> Plan:
    """Return the plan of ``python train.py -m OVERRIDES``."""
    _registered()
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)
    of_trials = [override for override in overrides if not override.startswith("hydra")]
    return plan_of(master, loader, of_trials)


@cache
def _lora_plan() -> Plan:
    return compose_plan("search_space=lora", "study.name=simulated")


def space() -> Mapping[str, BaseDistribution]:
    """Return the Optuna distributions of search_space=lora."""
    return _lora_plan().feasible.space.distributions


def divergence() -> Divergence:
    """Return the stopper that ends diverged trials by default."""
    return Divergence(_lora_plan().config.stoppers.divergence_factor)


@cache
def _registered() -> None:
    if "schema.yaml" not in ConfigStore.instance().repo:  # Hydra warns of repeated registration
        register_schema()
        register_plugins()
