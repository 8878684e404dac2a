"""Schema of the metrics beside the loss, and the names of their values."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from ugro.config.study import Direction
from ugro.errors import UserError, fault
from ugro.events.trial_report import MEASURED, REPORTED, Report
from ugro.metrics.task_files import is_file, read

On = Enum("On", ["tokens", "generations"])
# What a trial logs beside metrics, and names that are made from those of metrics.
OWN = ("loss", "grad_norm", "epoch", "eval_seconds", "eval_objective", "composite_score")
RESERVED = re.compile(r"^(base|test|eval)_|_(stderr|gain|bound)$")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
TASK = "a task of lm-evaluation-harness, or its YAML or JSON file"


@dataclass
class MetricConfig:
    """A metric computed by a Python function."""

    function: str = MISSING
    """Dotted name of the function, my_module.my_metric; its module is found beside train.py, in
    the working folder or on Python's path. It takes a list of examples and returns a number, a
    number per example, or a dictionary of either."""

    on: On = On.generations
    """What an example has: generations (prompt, generation, reference, record), or tokens (loss,
    tokens, correct, record). In a YAML file the key is written "on", as YAML reads on as true."""

    direction: Direction = Direction.maximize
    """Direction of optimisation where the metric is an objective."""

    eval_set: str | None = None
    """Set of data.eval_sets to compute the metric on; null: the evaluation part."""

    returns: list[str] = field(default_factory=list)
    """Keys of the dictionary that the function returns; each value is named NAME_KEY. None: it
    returns no dictionary."""

    examples: int | None = 200
    """Largest number of evaluation examples, drawn by data.split_seed; null: all."""

    max_new_tokens: int = 64
    """Length of a generated text. [tokens]"""

    samples: int | None = None
    """Answers to each prompt, drawn with a temperature; null: one."""

    temperature: float | None = None
    """Divisor of the logits when answers are drawn at random; null: greedy answers."""

    top_p: float | None = None
    """Draw from the most likely tokens that reach this probability; null: from all tokens."""

    batch_size: int | None = None
    """Answers per generation; null: training.eval_batch_size."""

    every: int | None = 1
    """Compute at every n-th evaluation, and at the last; null: only at the last."""

    timeout_seconds: float = 300.0
    """Time limit of a call, after which the trial fails. [seconds]"""


@dataclass
class LmEvalConfig:
    """A metric computed by tasks of lm-evaluation-harness."""

    tasks: list[str] = MISSING
    """Tasks of lm-evaluation-harness: names, or paths of YAML or JSON files."""

    returns: list[str] = field(default_factory=list)
    """Values of the tasks that are recorded, TASK_METRIC, or TASK_METRIC_FILTER where a task has
    filters; each is named NAME_TASK_METRIC. None: the first metric of each task file."""

    direction: Direction = Direction.maximize
    """Direction of optimisation where the metric is an objective."""

    examples: int | None = None
    """Number of documents of each task, the first ones; null: all."""

    num_fewshot: int | None = None
    """Examples in the prompts, except of tasks that define 0; null: as each task defines."""

    apply_chat_template: bool = False
    """Ask as a user of a conversation, through the chat template."""

    batch_size: int | None = None
    """Prompts per batch; null: training.eval_batch_size."""

    every: int | None = 1
    """Compute at every n-th evaluation, and at the last; null: only at the last."""


AnyMetric = MetricConfig | LmEvalConfig


def value_names(metrics: Mapping[str, AnyMetric]) -> dict[str, Direction]:
    """Return the names of all values of the metrics, with their directions."""
    return {
        value: metric.direction for name, metric in metrics.items() for value in names(name, metric)
    }


def of_set(metrics: Mapping[str, AnyMetric], eval_set: str | None) -> dict[str, AnyMetric]:
    """Return the metrics that are computed on an evaluation set; None: on the evaluation part.

    Tasks of lm-evaluation-harness, which bring their own data, go with the evaluation part.
    """
    return {
        name: metric
        for name, metric in metrics.items()
        if (metric.eval_set if isinstance(metric, MetricConfig) else None) == eval_set
    }


def names(name: str, metric: AnyMetric) -> list[str]:
    """Return the names of a metric's values."""
    own = [] if isinstance(metric, LmEvalConfig) else [name]
    return [f"{name}_{key}" for key in metric.returns] or own


def is_due(metric: AnyMetric, number: int, last: bool) -> bool:
    """Return whether a metric is computed at an evaluation.

    Args:
        metric: settings of the metric
        number: number of the evaluation
        last: whether no evaluation follows
    """
    return last or (metric.every is not None and number % metric.every == 0)


def of_functions(metrics: Mapping[str, AnyMetric]) -> dict[str, MetricConfig]:
    """Return the metrics that are computed by functions, from the held-out data."""
    return {name: one for name, one in metrics.items() if isinstance(one, MetricConfig)}


def of_tasks(metrics: Mapping[str, AnyMetric]) -> dict[str, LmEvalConfig]:
    """Return the metrics that are computed by tasks, which bring their own data."""
    return {name: one for name, one in metrics.items() if isinstance(one, LmEvalConfig)}


def first_values(name: str, tasks: list[str]) -> list[str]:
    """Return the names of the tasks' first values; none if a task does not list its metrics.

    Args:
        name: name of the metric
        tasks: its tasks; those given by name do not list theirs

    Raises:
        UserError: a file cannot be read.
    """
    found = [first_value(f"metrics.{name}.tasks", task) for task in tasks]
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else []


def first_value(key: str, task: str) -> str | None:
    """Return the name of a task file's first value; None of a task by name.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return read(Path(task)).value if is_file(task) else None
    except ValueError as error:
        raise UserError(f"{fault(key, task, TASK)} ({error})") from error


def is_reserved(names: Iterable[str]) -> bool:
    """Return whether a trial logs any of these names itself."""
    taken = {*MEASURED, *REPORTED, *OWN, *(each.name for each in fields(Report))}
    return any(name in taken or RESERVED.search(name) for name in names)
