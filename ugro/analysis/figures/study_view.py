"""The trials of a study as its figures show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy
import pandas
from numpy.typing import NDArray

from ugro.analysis.findings.anytime import improvements
from ugro.analysis.importance.importance import Importances
from ugro.analysis.tables import RUNNING, Tables
from ugro.events.outcome import Outcome

RATE = "training.learning_rate"
LARGEST, SMALLEST = 1e100, 1e-100  # magnitudes beyond these count as infinite, or as 0


class NoDataError(Exception):
    """The data do not support a figure; the message says why."""


class Kind(Enum):
    """The ways in which trials are marked; the value is the entry in legends."""

    COMPLETE = "complete"
    STOPPED = "stopped or paused"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    RUNNING = "running"


_KINDS = {
    Outcome.COMPLETE.value: Kind.COMPLETE,
    Outcome.PLATEAU.value: Kind.COMPLETE,
    Outcome.RUNG.value: Kind.STOPPED,
    Outcome.BUDGET.value: Kind.STOPPED,
    Outcome.TIMED_OUT.value: Kind.STOPPED,
    Outcome.STUDY_LIMIT.value: Kind.STOPPED,
    Outcome.PAUSED.value: Kind.STOPPED,  # it may resume, which most paused trials never do
    Outcome.INFEASIBLE.value: Kind.INFEASIBLE,
    Outcome.DIVERGED.value: Kind.FAILED,
    Outcome.OUT_OF_MEMORY.value: Kind.FAILED,
    Outcome.FAILED.value: Kind.FAILED,
    Outcome.WITHDRAWN.value: Kind.FAILED,
    Outcome.INTERRUPTED.value: Kind.RUNNING,  # it resumes
    RUNNING: Kind.RUNNING,
}


@dataclass(frozen=True)
class StudyView:
    """A study, prepared for its figures.

    Attributes:
        trials: one row per trial, by number. Columns: ``kind``; ``value``, the first objective of
            a complete trial; ``reached``, the same of an incomplete one at its last report. Both
            are NaN where there is no number that an axis can show.
    """

    tables: Tables
    importances: tuple[Importances, ...]
    trials: pandas.DataFrame

    @property
    def minimised(self) -> bool:
        """Whether smaller is better."""
        return self.tables.directions[0] == "minimize"

    @property
    def objective(self) -> str:
        """The name of the first objective."""
        return self.tables.objectives[0]

    @cached_property
    def best(self) -> int | None:
        """The number of the best complete trial."""
        values = self.trials["value"].dropna()
        if values.empty:
            return None
        return int(values.idxmin() if self.minimised else values.idxmax())

    @cached_property
    def baseline(self) -> int | None:
        """The number of the baseline, where it is complete."""
        number = self.tables.baseline
        return None if number is None or numpy.isnan(self.value(number)) else number

    def value(self, number: int) -> float:
        """The first objective of a complete trial."""
        return float(self.trials.at[number, "value"])

    @cached_property
    def highlighted(self) -> NDArray[numpy.bool_]:
        """Which trials are the best and the baseline."""
        chosen: NDArray[numpy.bool_] = numpy.isin(
            self.trials.index, [one for one in (self.best, self.baseline) if one is not None]
        )
        return chosen

    @cached_property
    def latest(self) -> pandas.Series:
        """The first objective of each trial; of an incomplete one at its last report."""
        return self.trials["value"].fillna(self.trials["reached"])

    def improvements(self, values: pandas.Series) -> pandas.Series:
        """Select the values that are better than all before them."""
        return improvements(values, self.minimised)

    def of(self, kind: Kind) -> pandas.DataFrame:
        """The trials of a kind."""
        return self.trials[self.trials["kind"] == kind]

    @property
    def importance(self) -> Importances | None:
        """The importances of the first method that the data support; None where none is."""
        return next((one for one in self.importances if one.of), None)

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """The importance of keys by that method, the most important first."""
        return {one.key: one.share for one in self.importance.of} if self.importance else {}

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The searched keys, the most important first.

        Without importances the learning rate comes first, which usually matters most.
        """
        searched = self.tables.searched
        ranked = [key for key in (*self.shares, RATE) if key in searched]
        return tuple(dict.fromkeys([*ranked, *searched]))


def study_view(tables: Tables, importances: tuple[Importances, ...]) -> StudyView:
    """Prepare a study for its figures."""
    kinds = [_KINDS[ending] for ending in tables.trials["ending"]]
    values = plottable(tables.trials[tables.objectives[0]])
    reached = plottable(_reached(tables))
    complete = numpy.array([kind is Kind.COMPLETE for kind in kinds], dtype=bool)
    trials = pandas.DataFrame(
        {
            "kind": pandas.Series(kinds, index=tables.trials.index, dtype="object"),
            "value": values.where(complete),
            "reached": reached.where(~complete),
        },
        index=tables.trials.index,
    )
    return StudyView(tables, importances, trials)


def _reached(tables: Tables) -> pandas.Series:
    """The first objective at each trial's last report.

    With several objectives a scheduler compares a scalar of all of them, which is none of them.
    """
    if len(tables.objectives) == 1:
        return tables.trials["last_value"]
    if (name := tables.objectives[0]) not in tables.reports:
        return pandas.Series(numpy.nan, index=tables.trials.index)
    last = tables.reports.dropna(subset=[name]).groupby("number")[name].last()
    return last.reindex(tables.trials.index)


def plottable(values: pandas.Series) -> pandas.Series:
    """Convert to numbers that an axis can show; NaN for the rest."""
    numbers = pandas.to_numeric(values, errors="coerce").astype("float64")
    size = numbers.abs()
    return numbers.mask(size < SMALLEST, 0.0).where(size <= LARGEST)
