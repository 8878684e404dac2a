"""Schema of the task: what a model is trained for, and the metrics that only this task has."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from ugro.config.metrics import MetricConfig, On
from ugro.config.mixture import Member, members
from ugro.config.study import Direction
from ugro.config.trial import RUNNING_TEXT, DataConfig, Packing
from ugro.errors import UserError, fault

TaskName = Enum("TaskName", ["language_modeling", "dpo", "classification"])
# Metrics beside eval_loss of each task, with the direction in which they improve.
TASK_METRICS: Mapping[TaskName, Mapping[str, Direction]] = {
    TaskName.language_modeling: {
        "eval_perplexity": Direction.minimize,
        "eval_bits_per_byte": Direction.minimize,
    },
    TaskName.dpo: {
        "eval_reward_accuracy": Direction.maximize,
        "eval_reward_margin": Direction.maximize,
    },
    TaskName.classification: {
        "eval_accuracy": Direction.maximize,
        "eval_f1": Direction.maximize,
    },
}
OF_OTHERS = tuple(  # metrics of all tasks but language modelling, whose are functions of the loss
    name
    for task, names in TASK_METRICS.items()
    if task is not TaskName.language_modeling
    for name in names
)

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
Metrics = Mapping[str, MetricConfig]


@dataclass
class TaskConfig:
    """What the model is trained for."""

    name: TaskName = MISSING
    """language_modeling: predict the next token; dpo: prefer the chosen to the rejected answer,
    https://arxiv.org/abs/2305.18290; classification: name the label of a text."""

    beta: float | None = None
    """Strength of DPO's pull towards the base model: a reward is beta times the log ratio."""

    labels: list[str] = field(default_factory=list)
    """Labels of a classification, in the order of the model's outputs; none: those of the data."""


def foreign_metrics(task: TaskName) -> set[str]:
    """Return the metrics that a trial of this task does not have."""
    others = {name for each, names in TASK_METRICS.items() if each is not task for name in names}
    generating = {"latency_ms"} if task is TaskName.classification else set()
    return others | {f"base_{name}" for name in others} | generating


def task_faults(task: TaskConfig, data: DataConfig, metrics: Metrics) -> Iterator[str]:
    """Yield what is wrong with the task, a line each.

    Args:
        task: the task
        data: its data; a mixture's sets are those of the task, too
        metrics: the configured metrics
    """
    yield from _own_faults(task)
    if task.name is not TaskName.language_modeling:
        for member in _sets(data):
            if member.data.source in RUNNING_TEXT:
                allowed = f"records, as task={task.name.name} learns from their columns: csv, jsonl"
                yield fault(f"{member.key}.source", member.data.source.name, allowed)
    for member in _sets(data):
        given = {
            **{f"columns.{name}": one for name, one in vars(member.data.columns).items()},
            **{name: getattr(member.data, name) for name in ("prompt", "completion")},
        }
        for name, value in given.items():
            allowed = f"null, as task={task.name.name} has no such column"
            if value is not None and name.removeprefix("columns.") not in COLUMNS[task.name]:
                yield fault(f"{member.key}.{name}", value, allowed)
    if data.packing not in PACKINGS[task.name]:
        allowed = " or ".join(one.name for one in PACKINGS[task.name])
        yield fault("data.packing", data.packing.name, f"{allowed}, with task={task.name.name}")
    if task.name is TaskName.classification:
        for name, metric in metrics.items():
            if metric.on is On.generations:
                allowed = "tokens, as a classifier generates nothing"
                yield fault(f"metrics.{name}.on", "generations", allowed)


def _sets(data: DataConfig) -> list[Member]:
    try:
        return members(data)
    except UserError:  # reported as a fault of the data
        return []


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
