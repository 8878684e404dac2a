"""How the processes of a trial share the rows of a step, and impossible values of that."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ugro.config.adapters import Adapter
from ugro.config.quantization import INDEPENDENT
from ugro.config.schema import Config
from ugro.config.training import Parallel, TrainingConfig
from ugro.errors import UserError, fault

OF_SHARDED = (*INDEPENDENT, "orthogonal", "eva")  # initialisations on sharded weights
WHOLE_WEIGHTS = ("delora", "ln_tuning")  # adapters that start from weights, or train them
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")  # of transformers


@dataclass(frozen=True)
class BatchShare:
    """A process's share of the rows of a step.

    Attributes:
        passes: processes among which the forward passes are shared out
        rows: processes among which the rows of a forward pass are shared out
        batch_size: rows of the process per forward pass
        gradient_accumulation_steps: forward passes of the process per step
    """

    passes: int
    rows: int
    batch_size: int
    gradient_accumulation_steps: int


def batch_share(training: TrainingConfig, processes: int) -> BatchShare:
    """Share out a step's forward passes among processes, and their rows where those are too few.

    Raises:
        UserError: the processes would get different numbers of rows.
    """
    passes = math.gcd(processes, training.gradient_accumulation_steps)
    rows = processes // passes
    if training.batch_size % rows:
        allowed = (
            f"a multiple of {rows}, or other gradient_accumulation_steps, as {processes} processes "
            "share the rows of a step"
        )
        raise UserError(fault("training.batch_size", training.batch_size, allowed))
    return BatchShare(
        passes,
        rows,
        training.batch_size // rows,
        training.gradient_accumulation_steps // passes,
    )


def parallel_faults(config: Config) -> Iterator[str]:
    """Yield impossible values, a line each."""
    training, spread = config.training, config.model.device_map
    if spread is not None and spread not in DEVICE_MAPS:
        yield fault("model.device_map", spread, f"{', '.join(DEVICE_MAPS)} or null")
    if spread is not None and config.model.random_llama is not None:
        yield fault("model.device_map", spread, "null, as a random Llama is not loaded")
    if spread is not None and config.adapter is Adapter.adalora:
        yield fault("model.device_map", spread, "null with adapter=adalora, which compares layers")
    if training.parallel is Parallel.none:
        if training.processes is not None:
            yield fault("training.processes", training.processes, "null with parallel=none")
        return
    if spread is not None:
        yield fault("model.device_map", spread, "null with training.parallel, or the reverse")
    if training.processes is not None and training.processes >= 1:
        try:
            batch_share(training, training.processes)
        except UserError as error:
            yield str(error)
    if training.parallel is Parallel.fsdp:
        yield from _sharding_faults(config)


def _sharding_faults(config: Config) -> Iterator[str]:
    if not config.quantization.is_none:
        allowed = f"ddp with quantization.method={config.quantization.method.name}"
        yield fault("training.parallel", "fsdp", allowed)
    whole = "with training.parallel=fsdp, as it reads whole weights of the base model"
    if config.adapter.name in WHOLE_WEIGHTS:
        yield fault("adapter", config.adapter.name, f"another {whole}")
    if config.adapter is Adapter.lora and config.lora.use_dora:
        yield fault("lora.use_dora", True, f"false {whole}")
    start = config.lora.init_lora_weights
    if config.adapter is Adapter.lora and str(start).lower() not in OF_SHARDED:
        yield fault("lora.init_lora_weights", start, f"{', '.join(OF_SHARDED)} {whole}")
