"""The best trial, the Pareto front, and the gain over the baseline configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from ugro.analysis.results import best_overrides
from ugro.analysis.tables import Tables
from ugro.events.gain import gain_over
from ugro.study.study import Study
from ugro.study.trial_record import metrics


@dataclass(frozen=True)
class Best:
    """A recommended trial.

    Attributes:
        values: objective values
        parameters: searched parameters
        overrides: the parameters as overrides, quoted for a shell
        untrained: ``eval_loss`` of the base model before training; None if unknown
    """

    number: int
    values: tuple[float, ...]
    parameters: Mapping[str, Any]
    overrides: str
    untrained: float | None = None


@dataclass(frozen=True)
class Gain:
    """Gain in an objective over the baseline.

    Attributes:
        number: number of the best trial in this objective
        absolute: improvement in the objective's unit; negative if worse
        relative: improvement as a share of the baseline's value; None if that is 0
    """

    objective: str
    baseline: float
    number: int
    best: float
    absolute: float
    relative: float | None


@dataclass(frozen=True)
class Baseline:
    """The baseline trial, which runs the configuration without changes, and the gains over it.

    Attributes:
        ending: status of the trial
        gains: gain in each objective; empty unless the trial is complete
    """

    number: int
    ending: str
    gains: tuple[Gain, ...]


def best_of(study: Study) -> Best | None:
    """Return the complete trial with the best first objective."""
    best = study.best()
    return None if best is None else _as_best(best)


def front_of(study: Study) -> tuple[Best, ...]:
    """Return the Pareto front; empty with a single objective."""
    if len(study.objectives) == 1:
        return ()
    return tuple(map(_as_best, study.front()))


def _as_best(trial: FrozenTrial) -> Best:
    untrained = metrics(trial).get("base_eval_loss")
    return Best(
        trial.number, tuple(trial.values), dict(trial.params), best_overrides(trial), untrained
    )


def baseline_of(tables: Tables) -> Baseline | None:
    """Return the baseline trial, if there is one."""
    number = tables.baseline
    if number is None:
        return None
    ending = str(tables.trials.at[number, "ending"])
    if tables.trials.at[number, "state"] != "complete":
        return Baseline(number, ending, ())
    gains = [
        _gain(tables, number, name, direction == "maximize")
        for name, direction in zip(tables.objectives, tables.directions, strict=True)
    ]
    return Baseline(number, ending, tuple(gains))


def _gain(tables: Tables, baseline: int, objective: str, maximised: bool) -> Gain:
    values = tables.complete[objective]
    number = int(values.idxmax() if maximised else values.idxmin())
    own, best = float(values[baseline]), float(values[number])
    return Gain(objective, own, number, best, *gain_over(own, best, not maximised))
