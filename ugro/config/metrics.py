"""Schema of the metrics beside the loss, and the names of their values."""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum

from omegaconf import MISSING

from ugro.config.study import Direction
from ugro.errors import fault
from ugro.events.trial_report import MEASURED, REPORTED, Report
from ugro.metrics.source import module_spec

On = Enum("On", ["tokens", "generations"])
# What a trial logs beside metrics, and names that are made from those of metrics.
OWN = ("loss", "grad_norm", "epoch", "eval_seconds", "eval_objective", "composite_score")
RESERVED = re.compile(r"^(base|test|eval)_|_(stderr|gain|bound)$")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


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

    every: int = 1
    """Compute at every n-th evaluation, and at the last."""

    timeout_seconds: float = 300.0
    """Time limit of a call, after which the trial fails. [seconds]"""


def value_names(metrics: Mapping[str, MetricConfig]) -> dict[str, Direction]:
    """Return the names of all values of the metrics, with their directions."""
    return {
        value: metric.direction for name, metric in metrics.items() for value in names(name, metric)
    }


def of_evaluation_part(metrics: Mapping[str, MetricConfig]) -> dict[str, MetricConfig]:
    """Return the metrics that are computed on the evaluation part, and on the test part."""
    return {name: metric for name, metric in metrics.items() if metric.eval_set is None}


def names(name: str, metric: MetricConfig) -> list[str]:
    """Return the names of a metric's values."""
    return [f"{name}_{key}" for key in metric.returns] or [name]


def is_reserved(names: Iterable[str]) -> bool:
    """Return whether a trial logs any of these names itself."""
    taken = {*MEASURED, *REPORTED, *OWN, *(each.name for each in fields(Report))}
    return any(name in taken or RESERVED.search(name) for name in names)


def metric_faults(metrics: Mapping[str, MetricConfig], eval_sets: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the metrics, a line each.

    Args:
        metrics: the metrics
        eval_sets: names of the evaluation sets
    """
    every = [value for name, metric in metrics.items() for value in names(name, metric)]
    for name, metric in metrics.items():
        key = f"metrics.{name}"
        own = {name, *names(name, metric)}
        if not NAME.fullmatch(name) or is_reserved(own):
            yield fault("metrics", name, "a name of letters, digits and _, not one of UGRO's own")
        if twice := sorted(value for value in own if every.count(value) > 1):
            yield fault(key, twice[0], "a name that no other metric's value has")
        if not all(NAME.fullmatch(returned) for returned in metric.returns):
            yield fault(f"{key}.returns", metric.returns, "names of letters, digits and _")
        if "." not in metric.function or module_spec(metric.function) is None:
            allowed = "module.function, the module beside train.py or on Python's path"
            yield fault(f"{key}.function", metric.function, allowed)
        if metric.eval_set is not None and metric.eval_set not in eval_sets:
            allowed = f"null, or of data.eval_sets: {', '.join(eval_sets) or 'none'}"
            yield fault(f"{key}.eval_set", metric.eval_set, allowed)
        for limit in ("examples", "max_new_tokens", "samples", "batch_size", "every"):
            given = getattr(metric, limit)
            if given is not None and given < 1:
                yield fault(f"{key}.{limit}", given, "1 or more")
        if not metric.timeout_seconds > 0:
            yield fault(f"{key}.timeout_seconds", metric.timeout_seconds, "above 0")
        yield from _sampling_faults(key, metric)


def _sampling_faults(key: str, metric: MetricConfig) -> Iterator[str]:
    temperature, top_p = metric.temperature, metric.top_p
    if temperature is not None and not 0 < temperature < math.inf:
        yield fault(f"{key}.temperature", temperature, "above 0, or null for greedy answers")
    if temperature is None and (metric.samples or 1) > 1:
        allowed = f"above 0 with samples={metric.samples}: greedy answers are all the same"
        yield fault(f"{key}.temperature", None, allowed)
    if top_p is not None and not 0 < top_p <= 1:
        yield fault(f"{key}.top_p", top_p, "above 0, 1 at most")
    elif top_p is not None and temperature is None:
        yield fault(f"{key}.top_p", top_p, "null without a temperature: nothing is drawn")
    if metric.on is On.tokens:
        for name in ("samples", "temperature", "top_p"):
            if (given := getattr(metric, name)) is not None:
                yield fault(f"{key}.{name}", given, "null with on=tokens: nothing is generated")
