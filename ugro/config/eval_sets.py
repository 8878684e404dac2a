"""Further evaluation sets, each with its data configuration, and the names of their values."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace

from ugro.config.data import DataConfig
from ugro.config.metrics import NAME, is_reserved
from ugro.config.mixture import KEYS, Member, member_of
from ugro.config.study import Direction
from ugro.config.task import TASK_METRICS, TaskName
from ugro.errors import fault

OWN_KEYS = tuple(key for key in KEYS if not key.startswith(("train_", "test_")))
OF_LOSS = "eval_perplexity"  # not measured on a set: it follows from the loss


def eval_sets(config: DataConfig) -> dict[str, Member]:
    """Return the evaluation sets by name; nothing but the rows is inherited from the data.

    Raises:
        UserError: a set has an unknown key or a wrong value.
    """
    default = DataConfig()
    reset = (*KEYS, "streaming", "group_by")
    alone = replace(config, **{key: getattr(default, key) for key in reset})
    sets = {}
    for name, given in config.eval_sets.items():
        found = member_of(alone, f"data.eval_sets.{name}", given, OWN_KEYS)
        split = found.data.eval_split or default.train_split
        sets[name] = replace(found, data=replace(found.data, train_split=split))  # has no other
    return sets


def set_values(names: Iterable[str], task: TaskName) -> dict[str, Direction]:
    """Return the names of all values of evaluation sets, with their directions."""
    metrics = {"eval_loss": Direction.minimize, **TASK_METRICS[task]}
    return {
        value_of(name, metric): direction
        for name in names
        for metric, direction in metrics.items()
        if metric != OF_LOSS
    }


def value_of(name: str, metric: str) -> str:
    """Return the name of a metric's value on a set: ``eval_loss`` on a is ``a_loss``."""
    return f"{name}_{metric.removeprefix('eval_')}"


def name_faults(names: Iterable[str], task: TaskName, taken: Container[str]) -> Iterator[str]:
    """Yield what is wrong with the names of evaluation sets, a line each.

    Args:
        names: names of the evaluation sets
        task: the task
        taken: names of the values of metrics
    """
    for name in names:
        if not NAME.fullmatch(name) or is_reserved([name, *set_values([name], task)]):
            allowed = "names of letters, digits and _, none whose values are UGRO's own"
            yield fault("data.eval_sets", name, allowed)
        for value in set_values([name], task):
            if value in taken:
                yield fault("data.eval_sets", value, "names whose values no metric has")
