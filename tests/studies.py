"""Studies made for tests."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study
from ugro.study.trial_record import Started


def in_memory(*directions: str, name: str = "s", objectives: list[str] | None = None) -> Study:
    """An empty study; minimised unless directions are given."""
    storage = optuna.storages.InMemoryStorage()
    given: Any = list(directions) or ["minimize"]
    record = optuna.create_study(study_name=name, storage=storage, directions=given)
    if objectives:
        record.set_metric_names(objectives)
    return Study(record, storage)


def start(
    study: Study, over: Mapping[str, BaseDistribution], source: str = "sampler", **given: Any
) -> Started:
    """A running trial; keys that are not given are at their first choice."""
    first = {key: getattr(one, "choices", None) or [one.low] for key, one in over.items()}  # type: ignore[attr-defined]
    parameters = {key: given.get(key, values[0]) for key, values in first.items()}
    return study.start(parameters, over, source)


def ended(
    study: Study,
    over: Mapping[str, BaseDistribution],
    how: Outcome = Outcome.COMPLETE,
    *values: float,
    source: str = "sampler",
    measured: Mapping[str, float] | None = None,
    given: Mapping[str, Any] | None = None,
) -> Started:
    """A trial that ended so."""
    trial = start(study, over, source, **(given or {}))
    told = values or (1.0,)
    study.tell(trial, how, TrialResult(told, measured or {"eval_loss": told[0]}))
    return trial
