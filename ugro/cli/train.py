"""Train one LoRA with the composed configuration; with ``-m``, sweep over configurations."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ugro.config import ADAPTERS, Adapter, Parallel, register_schema, typed
from ugro.config.keys import REMOVED, no_such_key
from ugro.config.validation.adapters import adapter_of_key, without_effect
from ugro.config.validation.validation import validate
from ugro.errors import UserError, fault
from ugro.events.channel import channel
from ugro.events.trial_report import TrialResult
from ugro.paths import configuration_folder


def train(config: DictConfig) -> TrialResult:
    """Compose, validate, run, return the objective."""
    try:
        settings = typed(config)
        validate(settings)
        # torch is imported only when something is trained
        if settings.study.preflight:
            if HydraConfig.get().mode is not RunMode.MULTIRUN:
                raise UserError(fault("study.preflight", True, "false, or a sweep: add -m"))
            from ugro.trial.probe import probe as run
        elif settings.study.measure_test:
            from ugro.trial.held_out import measure_test as run
        else:
            if HydraConfig.get().mode is not RunMode.MULTIRUN:
                check_gpu(HydraConfig.get().launcher)
            from ugro.trial.trial import run_trial as run

        folder = Path(HydraConfig.get().runtime.output_dir)
        if settings.training.parallel is not Parallel.none:
            from ugro.trial.parallel.processes import in_processes

            return in_processes(run, settings, folder, channel())
        return run(settings, folder, channel())
    except UserError as error:
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            raise  # the sweeper reports it
        sys.exit(f"error: {error}")


def check_gpu(launcher: DictConfig) -> None:
    """Refuse a single trial that asks for a GPU where there is none; Ray refuses it in a sweep.

    Args:
        launcher: configuration of the launcher

    Raises:
        UserError: torch finds no GPU.
    """
    key = "ray.remote.num_gpus"
    asked = OmegaConf.select(launcher, key)
    if asked:
        from ugro.trial.hardware import device

        if device().type == "cpu":
            allowed = "null here, as torch finds no GPU"
            raise UserError(fault(f"hydra.launcher.{key}", asked, allowed))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run Hydra on ``conf/``.

    Args:
        arguments: overrides and Hydra's flags, by default those of this process
    """
    from ugro.plugins.sweeper import CALLABLE, register_plugins  # Ray's workers need neither

    register_schema()
    register_plugins()
    if arguments is not None:
        sys.argv[1:] = arguments  # Hydra reads no others
    refuse_removed_keys(sys.argv[1:])
    refuse_keys_of_other_adapters(sys.argv[1:])
    conf = str(configuration_folder())
    try:
        hydra.main(config_path=conf, config_name="config", execution_whitelist=CALLABLE)(train)()
    except KeyboardInterrupt:
        sys.exit(130)  # the sweep has written its results by then


def refuse_removed_keys(arguments: Sequence[str]) -> None:
    """Exit with a line for each removed key; Hydra would name no other key."""
    given = [argument.partition("=")[0].lstrip("+~") for argument in arguments]
    lines = [no_such_key(key, ()) for key in given if key in REMOVED]
    if lines:
        sys.exit("\n".join(f"error: {line}" for line in lines))


def refuse_keys_of_other_adapters(arguments: Sequence[str]) -> None:
    """Exit with a line for each key of an adapter that is not chosen.

    Without ``adapter=``, an experiment or a search space may choose one that is not known here.
    """
    values = dict(argument.partition("=")[::2] for argument in arguments)
    if not {"adapter", "experiment", "search_space"} & set(values):
        values["adapter"] = Adapter.lora.name
    chosen = [name for name in ADAPTERS if re.search(rf"\b{name}\b", values.get("adapter", name))]
    lines = [
        without_effect(key, value, chosen)
        for key, value in values.items()
        if adapter_of_key(key) not in (None, *chosen)
    ]
    if lines:
        sys.exit("\n".join(f"error: {line}" for line in lines))
