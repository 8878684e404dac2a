"""Schema of the metrics beside the loss, and the names of their values."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

from omegaconf import MISSING

from ugro.config.study import Direction
from ugro.errors import UserError, fault
from ugro.events.trial_report import MEASURED, REPORTED, Report
from ugro.metrics.source import module_spec
from ugro.metrics.task_files import is_file, read

On = Enum("On", ["tokens", "generations"])
# What a trial logs beside metrics, and names that are made from those of metrics.
OWN = ("loss", "grad_norm", "epoch", "eval_seconds", "eval_objective", "composite_score")
RESERVED = re.compile(r"^(base|test|eval)_|_(stderr|gain)$")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
KEY = re.compile(r"[A-Za-z0-9_]+")
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

    returns: list[str] = field(default_factory=list)
    """Keys of the dictionary that the function returns; each value is named NAME_KEY. None: it
    returns no dictionary."""

    examples: int | None = 200
    """Largest number of evaluation examples, drawn by data.split_seed; null: all."""

    max_new_tokens: int = 64
    """Length of a generated text. [tokens]"""

    batch_size: int | None = None
    """Prompts per batch; null: training.eval_batch_size."""

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
    found = [_first_value(f"metrics.{name}.tasks", task) for task in tasks]
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else []


def _first_value(key: str, task: str) -> str | None:
    try:
        return read(Path(task)).value if is_file(task) else None
    except ValueError as error:
        raise UserError(f"{fault(key, task, TASK)} ({error})") from error


def metric_faults(metrics: Mapping[str, AnyMetric]) -> Iterator[str]:
    """Yield what is wrong with the metrics, a line each."""
    taken = {*MEASURED, *REPORTED, *OWN, *(each.name for each in fields(Report))}
    every = [value for name, metric in metrics.items() for value in names(name, metric)]
    for name, metric in metrics.items():
        key = f"metrics.{name}"
        own = {name, *names(name, metric)}
        if not NAME.fullmatch(name) or taken & own or any(map(RESERVED.search, own)):
            yield fault("metrics", name, "a name of letters, digits and _, not one of UGRO's own")
        if twice := sorted(value for value in own if every.count(value) > 1):
            yield fault(key, twice[0], "a name that no other metric's value has")
        if not all(KEY.fullmatch(returned) for returned in metric.returns):
            yield fault(f"{key}.returns", metric.returns, "names of letters, digits and _")
        for limit in ("examples", "max_new_tokens", "batch_size", "every"):
            given = getattr(metric, limit, None)
            if given is not None and given < 1:
                yield fault(f"{key}.{limit}", given, "1 or more")
        if isinstance(metric, LmEvalConfig):
            yield from _task_faults(key, metric)
        else:
            yield from _function_faults(key, metric)


def _function_faults(key: str, metric: MetricConfig) -> Iterator[str]:
    if "." not in metric.function or module_spec(metric.function) is None:
        allowed = "module.function, the module beside train.py or on Python's path"
        yield fault(f"{key}.function", metric.function, allowed)
    if not metric.timeout_seconds > 0:
        yield fault(f"{key}.timeout_seconds", metric.timeout_seconds, "above 0")


def _task_faults(key: str, metric: LmEvalConfig) -> Iterator[str]:
    if find_spec("lm_eval") is None:
        yield f"{key}: lm-evaluation-harness is not installed: pip install 'ugro[lm-eval]'"
    if not metric.tasks:
        yield fault(f"{key}.tasks", metric.tasks, f"at least one: {TASK}")
    for task in metric.tasks:
        try:
            _first_value(f"{key}.tasks", task)
        except UserError as error:
            yield str(error)
    if metric.tasks and not metric.returns:
        allowed = "values such as [arc_easy_acc]; only files with a metric_list tell theirs"
        yield fault(f"{key}.returns", metric.returns, allowed)
    if metric.num_fewshot is not None and metric.num_fewshot < 0:
        yield fault(f"{key}.num_fewshot", metric.num_fewshot, "0 or more")
