"""Validate the configured objectives."""

import math
from collections.abc import Collection, Iterator

from ugro.config import Direction, Mode, ObjectiveConfig, ObjectivesConfig
from ugro.errors import fault


def objective_faults(
    config: ObjectivesConfig, known: Collection[str], reported: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong with the objectives, a line each.

    Args:
        config: ``conf/objectives/``
        known: the metrics that trials measure
        reported: those of them that are reported while training
    """
    if not config.metrics:
        yield fault("objectives.metrics", {}, "at least one metric")
    elif set(config.metrics) <= set(known) and not any(one in reported for one in config.metrics):
        allowed = f"at least one that is reported while training: {', '.join(reported)}"
        yield fault("objectives.metrics", ", ".join(config.metrics), allowed)
    for name, one in config.metrics.items():
        key = f"objectives.metrics.{name}"
        if name not in known:
            yield fault("objectives.metrics", name, ", ".join(known))
        if not 0 < one.weight < math.inf:
            yield fault(f"{key}.weight", one.weight, "above 0")
        if config.mode is Mode.chebyshev and len(config.metrics) > 1:
            yield from _reference_faults(key, one)


def _reference_faults(key: str, one: ObjectiveConfig) -> Iterator[str]:
    if one.best is None or one.worst is None:
        given = {"best": one.best, "worst": one.worst}
        yield fault(key, given, "two reference points, as objectives.mode is chebyshev")
        return
    if math.isinf(one.best) or math.isinf(one.worst):
        yield fault(key, {"best": one.best, "worst": one.worst}, "two finite reference points")
        return
    good = one.best < one.worst if one.direction is Direction.minimize else one.best > one.worst
    if not good:
        side = "below" if one.direction is Direction.minimize else "above"
        yield fault(f"{key}.best", one.best, f"{side} worst, {one.worst:g}")
