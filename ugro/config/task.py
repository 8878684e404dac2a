"""Schema of the task: what a model is trained for, and the metrics that only this task has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from ugro.config.study import Direction

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
