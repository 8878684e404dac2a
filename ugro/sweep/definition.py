"""What makes a study the same one? Its search space, its objectives, its base model."""

import logging
from dataclasses import asdict

from optuna.distributions import CategoricalDistribution

from ugro.errors import UserError, fault
from ugro.objectives import objectives_of
from ugro.record.study import Study
from ugro.space.search_space import described
from ugro.sweep.plan import Plan

log = logging.getLogger(__name__)
NOTHING = "nothing"


def definition(plan: Plan) -> dict[str, str]:
    """What must not change while a study goes on, in words, each part under its key."""
    over, of = plan.feasible.space.distributions, plan.config
    conditions = plan.feasible.space.conditions
    said = {key: described(one) for key, one in over.items()}
    said |= {f"hydra.sweeper.conditions.{key}": one.text for key, one in conditions.items()}
    said["objectives.mode"] = of.objectives.mode.name
    for name, one in of.objectives.metrics.items():
        points = "" if one.best is one.worst is None else f", from {one.best} to {one.worst}"
        said[f"objectives.metrics.{name}"] = f"{one.direction.name}, weight {one.weight:g}{points}"
    if not any(key.startswith("model") for key in over):
        model = asdict(of.model)
        parts = ("path", "revision", "package", "gguf_file", "random_llama")
        said |= {f"model.{part}": str(model[part]) for part in parts if model[part] is not None}
    return said


def check_same(study: Study, plan: Plan) -> None:
    """Refuse to go on with a study that was something else, unless that is allowed.

    Raises:
        UserError: what has changed, a line each.
    """
    now, before = definition(plan), study.definition()
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    _check_what_cannot_change(study, plan)
    if before and changed:
        began = f"as study {study.record.study_name} began; or another study.name"
        lines = [
            fault(key, now.get(key, NOTHING), f"{before.get(key, NOTHING)}, {began}")
            for key in changed
        ]
        if not plan.config.study.allow_change:
            raise UserError("\n".join([*lines, "study.allow_change=true goes on nevertheless"]))
        log.warning("Changed in a study that goes on: %s", ", ".join(changed))
    study.define(now)


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
    for key, before in study.searched().items():
        now = over.get(key, before)
        if now != before and CategoricalDistribution in (type(before), type(now)):
            allowed = f"{described(before)}; other choices need another study.name"
            raise UserError(fault(key, described(now), allowed))
