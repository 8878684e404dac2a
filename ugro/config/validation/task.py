"""Validate the task: its own keys, and the data and metrics that fit it."""

import math
from collections.abc import Iterator, Mapping

from ugro.config.data import RUNNING_TEXT, DataConfig, Packing
from ugro.config.eval_sets import eval_sets
from ugro.config.metrics import AnyMetric, LmEvalConfig, On, value_names
from ugro.config.mixture import Member, members
from ugro.config.task import TASK_METRICS, TaskConfig, TaskName
from ugro.errors import UserError, fault

# Columns that data.columns may name, and templates may make
COLUMNS = {
    TaskName.language_modeling: ("text", "prompt", "completion", "messages", "tools"),
    TaskName.dpo: ("prompt", "chosen", "rejected", "tools"),
    TaskName.classification: ("text", "prompt", "label"),
}
PACKINGS = {
    TaskName.language_modeling: (Packing.bfd, Packing.wrapped, Packing.none),
    TaskName.dpo: (Packing.bfd, Packing.none),
    TaskName.classification: (Packing.none,),
}
Metrics = Mapping[str, AnyMetric]


def task_faults(task: TaskConfig, data: DataConfig, metrics: Metrics) -> Iterator[str]:
    """Yield what is wrong with the task, a line each.

    Args:
        task: the task
        data: its data, of which each set is for the task
        metrics: the configured metrics
    """
    yield from _own_faults(task)
    for member in _sets(data):
        yield from _set_faults(task.name, member)
    if data.packing not in PACKINGS[task.name]:
        allowed = " or ".join(one.name for one in PACKINGS[task.name])
        yield fault("data.packing", data.packing.name, f"{allowed}, with task={task.name.name}")
    yield from _metric_faults(task.name, metrics)


def _own_faults(task: TaskConfig) -> Iterator[str]:
    if task.name is TaskName.dpo:
        if task.beta is None or not 0 < task.beta < math.inf:
            yield fault("task.beta", task.beta, "above 0")
    elif task.beta is not None:
        yield fault("task.beta", task.beta, "null, or task=dpo")
    if task.labels and task.name is not TaskName.classification:
        yield fault("task.labels", task.labels, "none, or task=classification")
    if task.labels and len(set(task.labels)) != max(len(task.labels), 2):
        yield fault("task.labels", task.labels, "two or more labels, each once")


def _sets(data: DataConfig) -> list[Member]:
    try:
        return [*members(data), *eval_sets(data).values()]
    except UserError:  # reported as a fault of the data
        return []


def _set_faults(task: TaskName, member: Member) -> Iterator[str]:
    data = member.data
    if task is not TaskName.language_modeling and data.source in RUNNING_TEXT:
        allowed = f"records, as task={task.name} learns from their columns: csv, jsonl"
        yield fault(f"{member.key}.source", data.source.name, allowed)
    given = {
        **{f"columns.{name}": one for name, one in vars(data.columns).items()},
        **{name: getattr(data, name) for name in ("prompt", "completion")},
    }
    for name, value in given.items():
        if value is not None and name.removeprefix("columns.") not in COLUMNS[task]:
            allowed = f"null, as task={task.name} has no such column"
            yield fault(f"{member.key}.{name}", value, allowed)


def _metric_faults(task: TaskName, metrics: Metrics) -> Iterator[str]:
    of_task = {name.removeprefix("eval_") for name in TASK_METRICS[task]}
    for name in value_names(metrics):
        if name in of_task:
            yield fault("metrics", name, f"a name that no value of task={task.name} has")
    for name, metric in metrics.items():
        if task is not TaskName.classification:
            continue
        if isinstance(metric, LmEvalConfig):
            yield f"metrics.{name}: tasks ask a language model, and task=classification has none"
        elif metric.on is On.generations:
            allowed = "tokens, as a classifier generates nothing"
            yield fault(f"metrics.{name}.on", "generations", allowed)
