"""The definition of a study: its space, objectives, base model, data, length and evaluation."""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any

from optuna.distributions import CategoricalDistribution

from ugro.config import Config
from ugro.errors import UserError, fault
from ugro.objectives.objectives import objectives_of
from ugro.space.search_space import described
from ugro.study.study import Study, searched_by
from ugro.sweep.plan import Plan

log = logging.getLogger(__name__)
NOTHING = "nothing"
MODEL = ("path", "revision", "package", "gguf_file", "random_llama")
LENGTH = ("max_steps", "max_tokens", "epochs")
LATENCY = "latency_ms"
# With another of these values are not comparable; what is searched may be wider or narrower.
INCOMPARABLE = ("model", "data.", "objectives.", "latency.", *(f"training.{one}" for one in LENGTH))
SINCE_DATA = "data.source"  # every definition has it that has the data at all
NEW_GROUP = "study.allow_change=true starts a new group of trials, ranked by itself"


def definition(plan: Plan) -> dict[str, str]:
    """Describe what must not change while a study goes on, each part under its key."""
    over, of = plan.feasible.space.distributions, plan.config
    conditions = plan.feasible.space.conditions
    said = {key: described(one) for key, one in over.items()}
    said |= {f"hydra.sweeper.conditions.{key}": one.text for key, one in conditions.items()}
    said["objectives.mode"] = of.objectives.mode.name
    for name, one in of.objectives.metrics.items():
        points = "" if one.best is one.worst is None else f", from {one.best} to {one.worst}"
        said[f"objectives.metrics.{name}"] = f"{one.direction.name}, weight {one.weight:g}{points}"
    searched = [key.lstrip("+~") for key in over]
    return said | dict(_configured(of, searched))


def _configured(of: Config, searched: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is set, not searched; null is left out, so that a new key with that default may come."""
    parts: dict[str, Mapping[str, Any]] = {"data": asdict(of.data)}
    training = asdict(of.training)
    parts["training"] = {name: training[name] for name in LENGTH}
    if LATENCY in of.objectives.metrics:
        parts["latency"] = asdict(of.latency)
    if not any(key.startswith("model") for key in searched):
        model = asdict(of.model)
        parts["model"] = {name: model[name] for name in MODEL}
    for group, values in parts.items():
        for name, value in values.items():
            key = f"{group}.{name}"
            if value is not None and key not in searched:
                yield key, value.name if isinstance(value, Enum) else str(value)


def check_same(study: Study, plan: Plan) -> None:
    """Refuse to go on with a study that was something else, unless that is allowed.

    Where it is allowed and values cannot be compared, a new group of trials begins.

    Raises:
        UserError: what has changed, a line each.
    """
    now, before = definition(plan), study.definition()
    _check_what_cannot_change(study, plan)
    changed = changes(study, plan)
    if changed and not plan.config.study.allow_change:
        raise UserError("\n".join(_refusal(study, before, now, changed)))
    if changed:
        log.warning("Changed in a study that goes on: %s", ", ".join(changed))
    if study.trials() and (_is_incomparable(changed) or _has_other_data(study, plan)):
        begin_group(study)
    study.define(now)


def changes(study: Study, plan: Plan) -> list[str]:
    """Name the keys in which a plan is not what the study was begun as."""
    now, before = definition(plan), study.definition()
    return [key for key in {**before, **now} if before and before.get(key) != now.get(key)]


def starts_anew(study: Study, plan: Plan) -> bool:
    """Whether the plan's trials would be a group of their own."""
    return _is_incomparable(changes(study, plan)) or _has_other_data(study, plan)


def begin_group(study: Study) -> None:
    """Begin a new group of trials and say what that means."""
    earlier = len(study.trials())
    study.begin_group()
    log.warning(
        "A new group of trials begins, number %d: the %d trials before it stay as they are, are "
        "not ranked with it, and hydra.sweeper.n_trials counts the new ones alone",
        study.group,
        earlier,
    )


def _has_other_data(study: Study, plan: Plan) -> bool:
    """Whether the data that the plan must have are not the study's."""
    known = study.data()
    return any(
        known.get(of, {}).get(name, own) != own
        for of, parts in plan.data.items()
        for name, own in parts.items()
    )


def _is_incomparable(changed: Collection[str]) -> bool:
    return any(key.startswith(INCOMPARABLE) for key in changed)


def _refusal(
    study: Study, before: Mapping[str, str], now: Mapping[str, str], changed: Collection[str]
) -> Iterator[str]:
    name = study.record.study_name
    if SINCE_DATA not in before:
        allowed = (
            "another name: this study was begun by a version that did not write down on which data "
            f"trials are judged, so nobody knows whether new ones compare; {NEW_GROUP}"
        )
        yield fault("study.name", name, allowed)
        return
    began = f"as study {name} began; or another study.name"
    for key in changed:
        yield fault(key, now.get(key, NOTHING), f"{before.get(key, NOTHING)}, {began}")
    yield NEW_GROUP if _is_incomparable(changed) else "study.allow_change=true goes on nevertheless"


def _check_what_cannot_change(study: Study, plan: Plan) -> None:
    """Optuna bears other bounds under an old name, but no other choices and no other objectives."""
    asked = [one.name for one in objectives_of(plan.config.objectives).directions]
    if asked != list(study.directions):
        names = ", ".join(study.objectives)
        allowed = (
            f"{', '.join(study.directions)}, of {names}; another direction, another study.name"
        )
        raise UserError(fault("objectives", ", ".join(asked), allowed))
    over = plan.feasible.space.distributions
    for key, before in searched_by(study.of_all_groups()).items():
        now = over.get(key, before)
        if now != before and CategoricalDistribution in (type(before), type(now)):
            allowed = f"{described(before)}; other choices need another study.name"
            raise UserError(fault(key, described(now), allowed))
