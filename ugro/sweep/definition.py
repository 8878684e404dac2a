"""Definition of a study: the settings that must not change while it continues."""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any

from optuna.distributions import CategoricalDistribution

from ugro.config import Config, DataConfig, LmEvalConfig, ObjectiveConfig, TaskName
from ugro.config.metrics import AnyMetric, value_names
from ugro.errors import UserError, fault
from ugro.metrics.source import source_digest
from ugro.metrics.task_files import digest
from ugro.objectives.constraints import names
from ugro.objectives.objectives import objectives_of
from ugro.space.search_space import described
from ugro.study.study import Study
from ugro.study.trial_record import searched_by
from ugro.sweep.plan import Plan

log = logging.getLogger(__name__)
NOTHING = "nothing"
MODEL = ("path", "revision", "package", "gguf_file", "random_llama")
LENGTH = ("max_steps", "max_tokens", "epochs")
ATTENTION = "model.attn_implementation"  # changes values by rounding only
LATENCY = "latency_ms"
# A change of these settings makes values incomparable; a change of the search space does not.
INCOMPARABLE = (
    "model",
    "quantization.",
    "data.",
    "objectives.",
    "metrics.",
    "latency.",
    "task.",
    *(f"training.{k}" for k in LENGTH),
)
DATA_KEY = "data.source"  # part of every definition that includes the data
NEW_GROUP = "study.allow_change=true starts a new group of trials, ranked by itself"


def definition(plan: Plan) -> dict[str, str]:
    """Describe the settings that must not change, by key."""
    space, config = plan.feasible.space, plan.config
    parts = {key: described(over) for key, over in space.distributions.items()}
    for key, condition in space.conditions.items():
        parts[f"hydra.sweeper.conditions.{key}"] = condition.text
    parts["objectives.mode"] = config.objectives.mode.name
    for name, objective in config.objectives.metrics.items():
        parts[f"objectives.metrics.{name}"] = _objective(objective)
    searched = [key.lstrip("+~") for key in space.distributions]
    return parts | dict(_configured(config, searched))


def _objective(objective: ObjectiveConfig) -> str:
    best, worst = objective.best, objective.worst
    points = "" if best is worst is None else f", from {best} to {worst}"
    return f"{objective.direction.name}, weight {objective.weight:g}{points}"


def _configured(config: Config, searched: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield settings that are not searched.

    Null is omitted, so that a new key with this default does not change the definition.
    """
    parts: dict[str, Mapping[str, Any]] = {"data": _data(config.data)}
    training = asdict(config.training)
    parts["training"] = {name: training[name] for name in LENGTH}
    ranked = {*config.objectives.metrics, *names(config.constraints)}
    for name, metric in config.metrics.items():
        if ranked & set(value_names({name: metric})):
            parts[f"metrics.{name}"] = _metric(metric)
    if config.task.name is not TaskName.language_modeling:  # which was no key of earlier studies
        parts["task"] = asdict(config.task)
    if LATENCY in config.objectives.metrics:
        parts["latency"] = asdict(config.latency)
    if not any(key.startswith("model") and key != ATTENTION for key in searched):
        model = asdict(config.model)
        parts["model"] = {name: model[name] for name in MODEL}
    if not config.quantization.is_none and "quantization" not in searched:
        parts["quantization"] = asdict(config.quantization)
    for group, values in parts.items():
        for name, value in values.items():
            key = f"{group}.{name}"
            if value is not None and key not in searched:
                yield key, value.name if isinstance(value, Enum) else str(value)


def _data(config: DataConfig) -> Mapping[str, Any]:
    """Return the data's keys, without new ones that earlier studies lack and that say nothing."""
    given, default = asdict(config), DataConfig()
    for key in ("streaming", "eval_sets"):
        if given[key] == getattr(default, key):
            del given[key]
    for column in ("chosen", "rejected", "label"):
        if given["columns"][column] is None:
            del given["columns"][column]
    return given


def _metric(metric: AnyMetric) -> Mapping[str, Any]:
    """Return what affects a metric's values, the source of its function or tasks included."""
    given = asdict(metric)
    for other in ("direction", "every", "timeout_seconds", "batch_size"):
        given.pop(other, None)  # the direction is part of the objectives
    if isinstance(metric, LmEvalConfig):
        return {**given, "source": digest(metric.tasks)}
    return {**given, "source": source_digest(metric.function)}


def check_same(study: Study, plan: Plan) -> None:
    """Refuse to continue a study with another definition, unless ``study.allow_change`` is set.

    An allowed change that makes values incomparable starts a new group of trials.

    Raises:
        UserError: all changed keys, one per line; or the study was imported.
    """
    if study.imported_from:
        name = study.record.study_name
        allowed = f"another name, and study.warm_start=[{name}]: another program ran its trials"
        raise UserError(fault("study.name", name, allowed))
    now, before = definition(plan), study.definition()
    _check_immutable(study, plan)
    changed = changes(study, plan)
    if changed and not plan.config.study.allow_change:
        raise UserError("\n".join(_refusal(study, before, now, changed)))
    if changed:
        log.warning("Changed in a resumed study: %s", ", ".join(changed))
    if study.trials() and (_is_incomparable(changed) or _has_other_data(study, plan)):
        begin_group(study)
    study.define(now)


def changes(study: Study, plan: Plan) -> list[str]:
    """List the keys in which the plan differs from the study's definition."""
    now, before = definition(plan), study.definition()
    return [key for key in {**before, **now} if before and before.get(key) != now.get(key)]


def needs_new_group(study: Study, plan: Plan) -> bool:
    """Whether trials of the plan are not comparable with the study's current group."""
    return _is_incomparable(changes(study, plan)) or _has_other_data(study, plan)


def begin_group(study: Study) -> None:
    """Start a new group of trials and log the consequences."""
    earlier = len(study.trials())
    study.begin_group()
    log.warning(
        "A new group of trials begins, number %d: the %d earlier trials are kept but not ranked "
        "with it, and hydra.sweeper.n_trials counts only the new ones",
        study.group,
        earlier,
    )


def _has_other_data(study: Study, plan: Plan) -> bool:
    """Whether the plan requires other data than the study's."""
    recorded = study.data()
    return any(
        recorded.get(searched, {}).get(name, required) != required
        for searched, parts in plan.data.items()
        for name, required in parts.items()
    )


def _is_incomparable(changed: Collection[str]) -> bool:
    return any(key.startswith(INCOMPARABLE) for key in changed)


def _refusal(
    study: Study, before: Mapping[str, str], now: Mapping[str, str], changed: Collection[str]
) -> Iterator[str]:
    name = study.record.study_name
    if DATA_KEY not in before:
        allowed = (
            "another name: this study was begun by a version that did not record the evaluation "
            f"data, so new trials may not be comparable; {NEW_GROUP}"
        )
        yield fault("study.name", name, allowed)
        return
    began = f"as study {name} began; or another study.name"
    for key in changed:
        yield fault(key, now.get(key, NOTHING), f"{before.get(key, NOTHING)}, {began}")
    yield NEW_GROUP if _is_incomparable(changed) else "study.allow_change=true continues anyway"


def _check_immutable(study: Study, plan: Plan) -> None:
    """Refuse changes that Optuna does not support: other objectives and other choices."""
    directions = [d.name for d in objectives_of(plan.config.objectives).directions]
    if directions != list(study.directions):
        names = ", ".join(study.objectives)
        allowed = (
            f"{', '.join(study.directions)}, of {names}; another direction, another study.name"
        )
        raise UserError(fault("objectives", ", ".join(directions), allowed))
    over = plan.feasible.space.distributions
    for key, before in searched_by(study.of_all_groups()).items():
        now = over.get(key, before)
        if now != before and CategoricalDistribution in (type(before), type(now)):
            allowed = f"{described(before)}; other choices need another study.name"
            raise UserError(fault(key, described(now), allowed))
