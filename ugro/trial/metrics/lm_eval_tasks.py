"""Evaluate a model on tasks of lm-evaluation-harness, as its command does."""

import io
import logging
import math
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from logging.handlers import BufferingHandler
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from ugro.config import Direction, LmEvalConfig
from ugro.config.metrics import TASK, is_due
from ugro.errors import MetricError, UserError, fault
from ugro.metrics.task_files import digest, is_file, value_name
from ugro.retries import is_disk_trouble, one_line
from ugro.trial import torch_errors
from ugro.trial.inference import inference

BOOTSTRAP_DRAWS = 1000  # for standard errors of other values than means; lm_eval draws 100,000


@dataclass(frozen=True)
class _Value:
    """A value of a task.

    Attributes:
        value: the value; a string where there is none
        stderr: its standard error over documents; a string where there is none
        higher_is_better: whether higher values are better; None if unknown
    """

    value: Any
    stderr: Any
    higher_is_better: bool | None


class LmEvalTasks:
    """Metrics of a trial that are computed by tasks.

    Args:
        metrics: the metrics, by name
        tokenizer: the model's tokenizer, with the chat template that the model is trained with
        batch_size: prompts per batch where a metric has no number of its own

    Raises:
        UserError: a task is unknown, or its data cannot be loaded.
    """

    def __init__(
        self,
        metrics: Mapping[str, LmEvalConfig],
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int,
    ) -> None:
        self._metrics = metrics
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._sources = {name: digest(metric.tasks) for name, metric in metrics.items()}
        self._loaded = {
            name: _load(
                f"metrics.{name}.tasks", (*one.tasks,), self._sources[name], one.num_fewshot
            )
            for name, one in metrics.items()
        }

    @property
    def key(self) -> str:
        """What the values depend on beside the model."""
        return f"{self._metrics!r} {self._sources} {self._tokenizer.chat_template}"

    def compute(self, model: nn.Module, number: int, last: bool) -> dict[str, float]:
        """Compute the values that are due, with their standard errors as ``_stderr``.

        Args:
            model: model with or without adapter; its training mode is restored
            number: number of the evaluation, 0 for the base model
            last: whether no evaluation follows

        Raises:
            UserError: a task has no such value, or optimises it in the other direction.
            MetricError: a task fails, or a value is not finite.
        """
        found: dict[str, float] = {}
        for name, metric in self._metrics.items():
            if is_due(metric, number, last):
                found |= _chosen(name, metric, self._evaluate(name, metric, model))
        return found

    def _evaluate(self, name: str, metric: LmEvalConfig, model: nn.Module) -> dict[str, _Value]:
        """Return all values of a metric's tasks, by name."""
        from lm_eval.defaults import DEFAULT_OTHER_SEED
        from lm_eval.evaluator import evaluate
        from lm_eval.models.huggingface import HFLM

        for task in self._loaded[name]["tasks"].values():
            task.set_fewshot_seed(DEFAULT_OTHER_SEED)
        weights = next(model.parameters())
        half = weights.dtype is not torch.float32
        try:
            with (
                torch_errors.translated(),
                inference(model),
                _weights_left_alone(model),
                _seeded(weights.device),
                _silenced(),
            ):
                asked = HFLM(
                    pretrained=model,
                    backend="causal",
                    tokenizer=self._tokenizer,
                    batch_size=metric.batch_size or self._batch_size,
                    mixed_precision_dtype=weights.dtype if half else None,
                )
                results = evaluate(
                    lm=asked,
                    task_dict=self._loaded[name],
                    limit=metric.examples,
                    bootstrap_iters=BOOTSTRAP_DRAWS,
                    log_samples=False,
                    apply_chat_template=metric.apply_chat_template,
                    fewshot_as_multiturn=metric.apply_chat_template,
                )
        except Exception as error:  # of the task's code, or of what lm_eval asserts
            if isinstance(error, MemoryError) or is_disk_trouble(error):
                raise
            raise MetricError(f"metrics.{name}: {one_line(error)}") from error
        return dict(_values(results))


@lru_cache(maxsize=8)
def _load(key: str, tasks: tuple[str, ...], source: str, num_fewshot: int | None) -> Any:
    """Load tasks and groups, as lm_eval's ``evaluate`` takes them, once per process and content.

    Args:
        key: key of the tasks, for error messages
        tasks: names and files
        source: digest of what affects their values
        num_fewshot: examples in the prompts; None: as the task defines

    Raises:
        UserError: a task is unknown, or its data cannot be loaded.
    """
    found: dict[str, Any] = {"tasks": {}, "groups": {}, "group_map": {}}
    manager = _manager(by_name=not all(map(is_file, tasks)))
    for task in tasks:
        if not is_file(task) and task not in manager.task_index:
            raise UserError(fault(key, task, f"{TASK}; lm_eval ls tasks prints the names"))
        with _silenced() as logged:
            try:
                for part, members in manager.load(task).items():
                    found[part] |= members
            except Exception as error:  # of its data, templates, metrics or functions
                reasons = [one_line(error), *(one.getMessage() for one in logged.buffer)]
                raise UserError(f"{fault(key, task, TASK)} ({'; '.join(reasons)})") from error
    for task in found["tasks"].values():
        own = task.get_config("num_fewshot")
        if own is None or (own != 0 and num_fewshot is not None):  # 0 means without examples
            task.set_config("num_fewshot", num_fewshot or 0)
    return found


@lru_cache
def _manager(by_name: bool) -> Any:
    """Return lm_eval's index of tasks, with those that it brings if some are given by name."""
    from lm_eval.tasks import TaskManager

    with _silenced():
        return TaskManager(include_defaults=by_name)  # these are 14,000 files, read in 13 s


def _values(results: Mapping[str, Any]) -> Iterator[tuple[str, _Value]]:
    """Yield the values of lm_eval's results by name."""
    for task, measured in results["results"].items():
        better = results["higher_is_better"].get(task, {})
        for key, value in measured.items():
            metric, comma, answers = key.partition(",")
            if comma and not metric.endswith("_stderr"):
                stderr = measured.get(f"{metric}_stderr,{answers}")
                found = _Value(value, stderr, better.get(metric))
                yield value_name(task, metric, answers), found


def _chosen(name: str, metric: LmEvalConfig, found: Mapping[str, _Value]) -> dict[str, float]:
    """Return the values that a metric returns, with their standard errors.

    Raises:
        UserError: there is none of this name, or its direction is the other one.
        MetricError: one is not finite.
    """
    values = {}
    maximised = metric.direction is Direction.maximize
    for returned in metric.returns:
        if returned not in found:
            raise UserError(fault(f"metrics.{name}.returns", returned, ", ".join(found)))
        one = found[returned]
        if one.higher_is_better not in (None, maximised):
            allowed = f"that of {returned}; a metric of its own for values of the other direction"
            raise UserError(fault(f"metrics.{name}.direction", metric.direction.name, allowed))
        if not _is_finite(one.value):
            raise MetricError(f"metrics.{name}: {returned} is {one.value}, no finite number")
        values[f"{name}_{returned}"] = float(one.value)
        if _is_finite(one.stderr):
            values[f"{name}_{returned}_stderr"] = float(one.stderr)
    return values


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)


@contextmanager
def _weights_left_alone(model: nn.Module) -> Iterator[None]:
    """Keep HFLM from tying weights anew: it fails if a tied embedding has an adapter."""
    vars(model)["tie_weights"] = lambda: None
    try:
        yield
    finally:
        del vars(model)["tie_weights"]


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """Seed all generators as lm_eval's command does; training continues with its own state."""
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED

    of_python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        random.seed(DEFAULT_RANDOM_SEED)
        np.random.seed(DEFAULT_OTHER_SEED)
        torch.manual_seed(DEFAULT_OTHER_SEED)
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)


@contextmanager
def _silenced() -> Iterator[BufferingHandler]:
    """Hide lm_eval's log and progress bars, and let it start no processes.

    Yields:
        The errors that it logs.
    """
    log, errors = logging.getLogger("lm_eval"), BufferingHandler(capacity=100)
    errors.setLevel(logging.ERROR)
    log.addHandler(errors)
    log.propagate = False
    before = os.environ.get("DISABLE_MULTIPROC")
    os.environ["DISABLE_MULTIPROC"] = "1"  # else a bootstrap forks a process per core
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield errors
    finally:
        log.removeHandler(errors)
        log.propagate = True
        del os.environ["DISABLE_MULTIPROC"]
        if before is not None:
            os.environ["DISABLE_MULTIPROC"] = before
