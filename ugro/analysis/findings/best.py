"""What is best, and what has the search gained over the configuration as it was?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from ugro.analysis.results import best_overrides
from ugro.analysis.tables import Tables
from ugro.study.study import Study, metrics


@dataclass(frozen=True)
class Best:
    """A trial that is worth running again.

    Attributes:
        values: one an objective
        parameters: what it searched
        overrides: the same, to paste into a shell
        untrained: ``eval_loss`` of the base model before training; None where it is not known
    """

    number: int
    values: tuple[float, ...]
    parameters: Mapping[str, Any]
    overrides: str
    untrained: float | None = None


@dataclass(frozen=True)
class Gain:
    """What an objective has gained.

    Attributes:
        number: the trial that is best in it
        absolute: how much better it is, in the objective's unit; below 0: worse
        relative: as a share of the baseline's value; None where that is 0
    """

    objective: str
    baseline: float
    number: int
    best: float
    absolute: float
    relative: float | None


@dataclass(frozen=True)
class Baseline:
    """The configuration as it was, and what the search has gained over it.

    Attributes:
        ending: how its trial stands
        gains: one an objective; empty unless it is complete
    """

    number: int
    ending: str
    gains: tuple[Gain, ...]


def best_of(study: Study) -> Best | None:
    """The complete trial with the best first objective."""
    best = study.best()
    return None if best is None else _told(best)


def front_of(study: Study) -> tuple[Best, ...]:
    """The trials that no other one beats in every objective; empty with one objective."""
    if len(study.objectives) == 1:
        return ()
    return tuple(map(_told, study.front()))


def _told(trial: FrozenTrial) -> Best:
    untrained = metrics(trial).get("base_eval_loss")
    return Best(
        trial.number, tuple(trial.values), dict(trial.params), best_overrides(trial), untrained
    )


def baseline_of(tables: Tables) -> Baseline | None:
    """The baseline trial, where there is one."""
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
    better = best - own if maximised else own - best
    return Gain(objective, own, number, best, better, better / abs(own) if own else None)
