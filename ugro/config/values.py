"""Names of the values that a trial measures beside those of UGRO's own."""

from collections.abc import Iterable, Mapping

from ugro.config.eval_sets import set_values
from ugro.config.metrics import AnyMetric, value_names
from ugro.config.study import Direction
from ugro.config.task import TaskName, foreign_metrics


def configured_values(
    eval_sets: Iterable[str], task: TaskName, metrics: Mapping[str, AnyMetric]
) -> dict[str, Direction]:
    """Return the names of the values of evaluation sets and metrics, with their directions.

    Args:
        eval_sets: names of the evaluation sets
        task: the task
        metrics: the configured metrics
    """
    return {**set_values(eval_sets, task), **value_names(metrics)}


def known_values(own: Iterable[str], task: TaskName, configured: Iterable[str]) -> list[str]:
    """Return the names that a trial of this task has, of UGRO's own and the configured ones."""
    foreign = foreign_metrics(task)
    return [name for name in (*own, *configured) if name not in foreign]
