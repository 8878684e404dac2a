"""Configurations retrained with other seeds, and their values.

They are read from the event logs of the study and of its confirmation, which are in their folders
even if the records are stored elsewhere.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ugro.analysis.confirmation.difference import spread
from ugro.events.outcome import Outcome
from ugro.space.feasible import identity

SEED = "seed"
BEST, BASELINE = "best", "baseline"
RANKS = (BEST, "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


@dataclass(frozen=True)
class Candidate:
    """A retrained configuration.

    Attributes:
        number: number of its trial in the study
        role: baseline, or best, second, ... by the study's values
        values: first objective for each seed, in order; NaN if missing or not finished
        mean: mean of the finite values; NaN without any
        spread: sample standard deviation of the finite values; NaN with fewer than two
        found: value in the study; NaN if stopped early there
    """

    number: int
    role: str
    values: tuple[float, ...]
    mean: float
    spread: float
    found: float = math.nan

    @property
    def named(self) -> str:
        """The trial with its role: ``trial 3, the second``."""
        return f"trial {self.number}, the {self.role}"


@dataclass
class LoggedTrial:
    """A trial in the event log."""

    parameters: Mapping[str, Any]
    source: str
    ending: Outcome | None = None
    value: float = math.nan


@dataclass
class LoggedStudy:
    """A study in the event log.

    Attributes:
        objective: name of the first objective
        maximised: whether larger values are better
        total: planned number of trials
        group: newest group of trials
        trials: trials of this group by number
    """

    objective: str = "value"
    maximised: bool = False
    total: int = 0
    group: int = 0
    trials: dict[int, LoggedTrial] = field(default_factory=dict)

    @property
    def ended(self) -> list[LoggedTrial]:
        """Ended trials, except interrupted trials."""
        return [trial for trial in self.trials.values() if trial.ending not in (None, _RESUMED)]

    def ranked(self) -> dict[object, int]:
        """Return the best complete trial of each configuration, sorted by value."""
        complete = [item for item in self.trials.items() if math.isfinite(item[1].value)]
        complete.sort(key=lambda item: item[1].value, reverse=self.maximised)
        ranked: dict[object, int] = {}
        for number, trial in complete:
            ranked.setdefault(configuration(trial.parameters), number)
        return ranked


_RESUMED = Outcome.INTERRUPTED


def read_log(events: Iterable[Mapping[str, Any]]) -> LoggedStudy:
    """Read an event log; later events of a trial replace earlier events."""
    study = LoggedStudy()
    for event in events:
        match event["event"]:
            case "StudyStarted":
                study.objective, study.total = event["objectives"][0], event["trials"]
                study.maximised = event["directions"][0] == "maximize"
                if event.get("group", 0) != study.group:
                    study.group, study.trials = event["group"], {}
            case "TrialAsked" if event.get("group", 0) == study.group:
                study.trials[event["number"]] = LoggedTrial(event["parameters"], event["source"])
            case "TrialFinished" if event["number"] in study.trials:
                trial = study.trials[event["number"]]
                trial.ending = Outcome(event["ending"])
                trial.value = event["values"][0] if event["values"] else math.nan
    return study


def configuration(parameters: Mapping[str, Any]) -> object:
    """Return the identity of a configuration without its seed."""
    return identity({key: value for key, value in parameters.items() if key != SEED})


def candidates_of(
    study: LoggedStudy, again: LoggedStudy, seeds: Sequence[int]
) -> tuple[Candidate, ...]:
    """Return all retrained configurations, the best first and the baseline last.

    A baseline that is also the best has the role of the best.
    """
    by_seed: dict[object, dict[int, float]] = {}
    for trial in again.trials.values():
        values = by_seed.setdefault(configuration(trial.parameters), {})
        values[int(trial.parameters[SEED])] = trial.value
    return tuple(
        _candidate(number, role, [by_seed[which].get(seed, math.nan) for seed in seeds], study)
        for which, (number, role) in _roles(study).items()
        if which in by_seed
    )


def _candidate(number: int, role: str, values: Sequence[float], study: LoggedStudy) -> Candidate:
    known = [value for value in values if math.isfinite(value)]
    mean = math.fsum(known) / len(known) if known else math.nan
    found = study.trials[number].value
    return Candidate(number, role, tuple(values), mean, spread(known), found)


def _roles(study: LoggedStudy) -> dict[object, tuple[int, str]]:
    """Map each configuration to its trial and role."""
    roles: dict[object, tuple[int, str]] = {
        which: (number, RANKS[place] if place < len(RANKS) else f"number {place + 1}")
        for place, (which, number) in enumerate(study.ranked().items())
    }
    for number, trial in study.trials.items():
        which = configuration(trial.parameters)
        if trial.source == BASELINE and roles.get(which, (number, ""))[1] != BEST:
            roles.pop(which, None)
            roles[which] = number, BASELINE  # moves to the end
    return roles
