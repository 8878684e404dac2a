"""Comparison of studies: results, cost, importances, and differing settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ugro.analysis.comparison.differing import differing
from ugro.analysis.findings.anytime import Spent, in_order, seconds, tokens
from ugro.analysis.findings.best import Baseline, Best, baseline_of, best_of
from ugro.analysis.findings.cost import Cost, cost_of
from ugro.analysis.importance.importance import Importance, Importances, importances_of
from ugro.analysis.tables import Tables
from ugro.errors import UserError, fault
from ugro.study.study import Study
from ugro.study.trial_record import retried


@dataclass(frozen=True)
class Side:
    """A study in a comparison.

    Attributes:
        name: name as given by the user
        tables: tables of the study
        best: best trial, or None
        baseline: baseline trial, or None
        cost: cost of the study
        importances: importance of the keys, by method
        tokens: cumulative tokens at the end of each complete trial
        seconds: cumulative driver time at the end of each complete trial
    """

    name: str
    tables: Tables
    best: Best | None
    baseline: Baseline | None
    cost: Cost
    importances: tuple[Importances, ...]
    tokens: Spent
    seconds: Spent


@dataclass(frozen=True)
class Comparison:
    """Studies with the same objectives.

    Attributes:
        objective: first objective, which is compared
        minimised: whether smaller is better
        sides: studies in the given order
        target: worst of the best values, which all studies have reached; None if any has none
        method: importance method with results for all studies, or empty
        shared: keys searched by all studies, the most important first by that method
        differing: settings that differ between studies, by key
    """

    objective: str
    minimised: bool
    sides: tuple[Side, ...]
    target: float | None
    method: str
    shared: tuple[str, ...]
    differing: Mapping[str, tuple[str, ...]]

    @property
    def winner(self) -> Side | None:
        """Study with the best value; None without any value."""
        found = [side for side in self.sides if side.best is not None]
        better = min if self.minimised else max
        return better(found, key=lambda side: side.best.values[0]) if found else None  # type: ignore[union-attr]

    def importance(self, side: Side, key: str) -> Importance | None:
        """Return the importance of a key in a study by the shared method."""
        return _by(self.method, side).get(key)


def side_of(name: str, study: Study, tables: Tables) -> Side:
    """Analyse a study for a comparison."""
    values = in_order(tables)
    return Side(
        name=name,
        tables=tables,
        best=best_of(study),
        baseline=baseline_of(tables),
        cost=cost_of(tables, sum(map(retried, study.trials()))),
        importances=importances_of(study, tables),
        tokens=tokens(tables, values),
        seconds=seconds(tables, values),
    )


def check_comparable(names: Sequence[str], studies: Sequence[Tables]) -> None:
    """Refuse studies with different objectives.

    Raises:
        UserError: a study has other objectives than the first study.
    """
    described = [
        ", ".join(f"{name} ({direction})" for name, direction in zip(*of, strict=True))
        for of in ((tables.objectives, tables.directions) for tables in studies)
    ]
    for name, objectives in zip(names[1:], described[1:], strict=True):
        if objectives != described[0]:
            allowed = f"studies of the same objectives; {names[0]} has {described[0]}"
            raise UserError(fault("study", f"{name}: {objectives}", allowed))


def comparison_of(sides: Sequence[Side]) -> Comparison:
    """Compare studies.

    Args:
        sides: two or more studies with the same objectives
    """
    first = sides[0].tables
    minimised = first.directions[0] == "minimize"
    bests = [side.best.values[0] for side in sides if side.best is not None]
    worst = max if minimised else min
    methods = [by_method.method for by_method in sides[0].importances]
    method = next((name for name in methods if all(_by(name, side) for side in sides)), "")
    return Comparison(
        objective=first.objectives[0],
        minimised=minimised,
        sides=tuple(sides),
        target=worst(bests) if len(bests) == len(sides) else None,
        method=method,
        shared=_shared(method, sides),
        differing=differing([side.tables for side in sides]),
    )


def _shared(method: str, sides: Sequence[Side]) -> tuple[str, ...]:
    importances = [_by(method, side) for side in sides]
    common = [key for key in importances[0] if all(key in by_key for by_key in importances)]
    return tuple(sorted(common, key=lambda key: -sum(by_key[key].share for by_key in importances)))


def _by(method: str, side: Side) -> dict[str, Importance]:
    """Return the importance of each key by a method."""
    return {
        importance.key: importance
        for found in side.importances
        if found.method == method
        for importance in found.of
    }
