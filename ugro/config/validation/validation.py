"""Validate a configuration: collect all impossible values before anything starts."""

import math
import re
from collections.abc import Iterator

from ugro.artifact_store import faults as artifacts_faults
from ugro.config import (
    Config,
    LatencyConfig,
    StoppersConfig,
    StudyConfig,
)
from ugro.config.parallel import parallel_faults
from ugro.config.quantization import quantization_faults
from ugro.config.validation.adapters import adapter_faults
from ugro.config.validation.bounds import above_zero, at_least
from ugro.config.validation.data import data_faults
from ugro.config.validation.metrics import metric_faults
from ugro.config.validation.objectives import objective_faults
from ugro.config.validation.task import task_faults
from ugro.config.validation.training import training_faults
from ugro.config.values import configured_values, known_values
from ugro.errors import UserError, fault
from ugro.events.trial_report import MEASURED, REPORTED
from ugro.paths import CONFIRM

# It becomes a folder, a part of URIs and of commands that are pasted.
STUDY_NAME = re.compile(r"\w[\w.+=@-]{0,99}")


def validate(config: Config) -> None:
    """Raise one error that tells every fault, a line each; change nothing.

    Raises:
        UserError: at least one value is impossible.
    """
    task = config.task.name
    own = configured_values(config.data.eval_sets, task, config.metrics)
    faults = [
        *task_faults(config.task, config.data, config.metrics),
        *adapter_faults(config),
        *quantization_faults(config.quantization, config.adapter, config.lora),
        *training_faults(config.training, task),
        *parallel_faults(config),
        *data_faults(config),
        *_model(config),
        *_study(config.study),
        *artifacts_faults(config.study.artifacts),
        *_scheduler(config.scheduler),
        *_stoppers(config.stoppers),
        *metric_faults(config.metrics, config.data.eval_sets),
        *objective_faults(
            config.objectives,
            known_values(MEASURED, task, own),
            known_values(REPORTED, task, own),
        ),
        *_latency(config.latency),
        *_estimate(config),
    ]
    if faults:
        raise UserError("\n".join(faults))


def _model(config: Config) -> Iterator[str]:
    model = config.model
    if not model.path and not model.random_llama and not model.package:
        yield fault("model.path", model.path, "a hub id or a folder")
    if model.package and not model.gguf_file:
        yield fault("model.gguf_file", model.gguf_file, "the file's name inside the package")
    for key in ("block_size", "eval_block_size"):
        given, shape = getattr(config.data, key), model.random_llama
        if shape and given is not None and given > shape.max_position_embeddings:
            yield fault(f"data.{key}", given, f"{shape.max_position_embeddings} at most")


def _study(study: StudyConfig) -> Iterator[str]:
    if not STUDY_NAME.fullmatch(study.name.removesuffix(f"/{CONFIRM}")):
        allowed = "100 letters, digits and . _ - + = @ at most, the first a letter or a digit"
        yield fault("study.name", study.name, allowed)
    yield from at_least("study.warm_start_trials", study.warm_start_trials, 1)
    yield from above_zero("study.max_seconds", study.max_seconds)
    yield from at_least("study.max_tokens", study.max_tokens, 1)
    yield from at_least("study.max_retries", study.max_retries, 0)
    yield from at_least("study.heartbeat_seconds", study.heartbeat_seconds, 1)
    yield from at_least("study.fail_fast", study.fail_fast, 1)
    yield from at_least("study.confirm", study.confirm, 0)
    yield from at_least("study.confirm_seeds", study.confirm_seeds, 2)  # one has no spread


def _scheduler(scheduler: object) -> Iterator[str]:
    """Each trial scheduler has some of these keys."""
    given = vars(scheduler)
    grace, longest = given.get("grace_period"), given.get("max_t")
    yield from above_zero("scheduler.grace_period", grace)
    yield from above_zero("scheduler.max_t", longest)
    if longest is not None and grace > longest:
        yield fault("scheduler.grace_period", grace, f"scheduler.max_t={longest:g} at most")
    factor = given.get("reduction_factor")
    if factor is not None and not 1 < factor < math.inf:
        yield fault("scheduler.reduction_factor", factor, "above 1")
    yield from at_least("scheduler.brackets", given.get("brackets"), 1)
    yield from at_least("scheduler.min_samples_required", given.get("min_samples_required"), 1)


def _stoppers(stoppers: StoppersConfig) -> Iterator[str]:
    yield from at_least("stoppers.max_tokens", stoppers.max_tokens, 1)
    yield from above_zero("stoppers.max_seconds", stoppers.max_seconds)
    yield from at_least("stoppers.kill_after_seconds", stoppers.kill_after_seconds, 0)
    yield from at_least("stoppers.plateau_patience", stoppers.plateau_patience, 1)
    yield from at_least("stoppers.plateau_min_delta", stoppers.plateau_min_delta, 0)
    factor = stoppers.divergence_factor
    if factor is not None and not factor > 1:
        yield fault("stoppers.divergence_factor", factor, "above 1, or null")


def _latency(latency: LatencyConfig) -> Iterator[str]:
    for name in ("prompt_tokens", "new_tokens", "batch_size", "repeats"):
        yield from at_least(f"latency.{name}", getattr(latency, name), 1)
    yield from at_least("latency.warmup", latency.warmup, 0)


def _estimate(config: Config) -> Iterator[str]:
    key, given = "estimate.gpu_memory_gb", config.estimate.gpu_memory_gb
    yield from above_zero(key, given)
    if given is not None and not config.study.preflight:
        yield fault(key, given, "null, or with -m study.preflight=true (make check)")
