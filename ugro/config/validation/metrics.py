"""Validate the configured metrics."""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec

from ugro.config.metrics import (
    NAME,
    TASK,
    AnyMetric,
    LmEvalConfig,
    MetricConfig,
    On,
    first_value,
    is_reserved,
    names,
)
from ugro.errors import UserError, fault
from ugro.metrics.source import module_spec

KEY = re.compile(r"[A-Za-z0-9_]+")


def metric_faults(metrics: Mapping[str, AnyMetric], eval_sets: Collection[str]) -> Iterator[str]:
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
        if not all(KEY.fullmatch(returned) for returned in metric.returns):
            yield fault(f"{key}.returns", metric.returns, "names of letters, digits and _")
        for limit in ("examples", "max_new_tokens", "samples", "batch_size", "every"):
            given = getattr(metric, limit, None)
            if given is not None and given < 1:
                yield fault(f"{key}.{limit}", given, "1 or more")
        if isinstance(metric, LmEvalConfig):
            yield from _task_faults(key, metric)
            continue
        yield from _function_faults(key, metric)
        if metric.eval_set is not None and metric.eval_set not in eval_sets:
            allowed = f"null, or of data.eval_sets: {', '.join(eval_sets) or 'none'}"
            yield fault(f"{key}.eval_set", metric.eval_set, allowed)


def _function_faults(key: str, metric: MetricConfig) -> Iterator[str]:
    if "." not in metric.function or module_spec(metric.function) is None:
        allowed = "module.function, the module beside train.py or on Python's path"
        yield fault(f"{key}.function", metric.function, allowed)
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


def _task_faults(key: str, metric: LmEvalConfig) -> Iterator[str]:
    if find_spec("lm_eval") is None:
        yield f"{key}: lm-evaluation-harness is not installed: pip install 'ugro[lm-eval]'"
    if not metric.tasks:
        yield fault(f"{key}.tasks", metric.tasks, f"at least one: {TASK}")
    for task in metric.tasks:
        try:
            first_value(f"{key}.tasks", task)
        except UserError as error:
            yield str(error)
    if metric.tasks and not metric.returns:
        allowed = "values such as [arc_easy_acc]; only files with a metric_list tell theirs"
        yield fault(f"{key}.returns", metric.returns, allowed)
    if metric.num_fewshot is not None and metric.num_fewshot < 0:
        yield fault(f"{key}.num_fewshot", metric.num_fewshot, "0 or more")
