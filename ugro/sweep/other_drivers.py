"""Coordination with other drivers of the study, whose trials are taken over if they die."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from ugro.events.event_log import Follower, scheduler_events
from ugro.events.events import SchedulerEvent, TrialAsked
from ugro.events.outcome import Outcome
from ugro.retries import retrying
from ugro.space.feasible import identity
from ugro.study.storage import is_trouble
from ugro.study.study import Study
from ugro.study.trial_record import driver, group, recorded_outcome, retried, started
from ugro.sweep.drivers import Drivers


@dataclass(frozen=True)
class News:
    """Changes by other drivers.

    Attributes:
        started: trials that they started
        finished: trials that they finished
        remaining: number of trials that the study still needs
    """

    started: Sequence[FrozenTrial]
    finished: Sequence[FrozenTrial]
    remaining: int


class Peers(Protocol):
    """Other drivers of the study."""

    def scheduler_events(self) -> Iterator[SchedulerEvent]:
        """Yield what a scheduler learns from the other drivers since the last call."""

    def news(self) -> News | None:
        """Return the changes since the last call; None if there are no other drivers."""

    def claim_abandoned(self) -> FrozenTrial | None:
        """Claim a trial without a live driver for this driver, if there is one."""

    def are_running(self) -> bool:
        """Whether other drivers have running trials."""

    def may_run(self, number: int, parameters: Mapping[str, Any]) -> bool:
        """Whether this driver may run a trial that it recorded, or another driver was faster."""


class NoPeers:
    """Peers of the only driver of a study."""

    def scheduler_events(self) -> Iterator[SchedulerEvent]:
        """Yield nothing."""
        return iter(())

    def news(self) -> News | None:
        """Return None."""
        return None

    def claim_abandoned(self) -> FrozenTrial | None:
        """Return None: trials of an earlier driver are resumed at the start."""
        return None

    def are_running(self) -> bool:
        """Return False."""
        return False

    def may_run(self, number: int, parameters: Mapping[str, Any]) -> bool:
        """Return True."""
        return True


class SharedStudy:
    """Peers that share a storage and the study's folder.

    Drivers agree by the numbers of trials, which the storage assigns one by one: of two trials with
    the same parameters the lower number runs, and of all trials the first ``total``.

    Args:
        study: the shared study
        drivers: registry of its drivers
        log: ``events.jsonl``, which all drivers write
        total: number of trials of the finished study
        unique: whether no configuration may run twice
        finished: numbers of the trials that finished earlier, which are not news
    """

    def __init__(
        self,
        study: Study,
        drivers: Drivers,
        log: Path,
        total: int,
        unique: bool,
        finished: Collection[int],
    ) -> None:
        self._study = study
        self._drivers = drivers
        self._follower = Follower(log)
        self._total = total
        self._unique = unique
        self._started: set[int] = set()
        self._finished = set(finished)
        self._other_groups = {
            trial.number for trial in study.every() if group(trial) != study.group
        }
        self._retry = retrying(is_trouble, "The study's record cannot be read")

    def scheduler_events(self) -> Iterator[SchedulerEvent]:
        """Yield new events from the log that a scheduler learns from, except of other groups."""
        for record in self._follower.events():
            asked = record["event"] == TrialAsked.__name__
            if asked and record.get("group", 0) != self._study.group:
                self._other_groups.add(record["number"])
            for event in scheduler_events([record]):
                if event.number not in self._other_groups:
                    yield event

    def news(self) -> News:
        """Return the changes in the storage since the last call."""
        counted = self._counted_trials()
        others = [trial for trial in counted if driver(trial) != self._drivers.own]
        started = [trial for trial in others if trial.number not in self._started]
        finished = [
            trial
            for trial in others
            if trial.state.is_finished() and trial.number not in self._finished
        ]
        self._started |= {trial.number for trial in started}
        self._finished |= {trial.number for trial in finished}
        return News(started, finished, self._total - len(counted))

    def claim_abandoned(self) -> FrozenTrial | None:
        """Claim a trial whose driver is dead or was interrupted, if there is one.

        A trial that its driver has paused stays with it while it lives.
        """
        if not any(self._is_abandoned(trial) for trial in self._trials()):
            return None
        claim: Callable[[], FrozenTrial | None] = self._claim
        with self._drivers.exclusive():
            return self._retry(claim)

    def _claim(self) -> FrozenTrial | None:
        self._study.close_abandoned(self._drivers.is_alive)
        for trial in filter(self._is_abandoned, self._study.unfinished()):
            if self._study.retry(started(trial), retried(trial), self._drivers.own):
                return trial
        return None

    def _is_abandoned(self, trial: FrozenTrial) -> bool:
        outcome = recorded_outcome(trial)
        if trial.state is TrialState.WAITING and outcome is Outcome.INTERRUPTED:
            return True
        is_left = trial.state is TrialState.RUNNING or outcome is Outcome.PAUSED
        return is_left and not self._drivers.is_alive(driver(trial))

    def are_running(self) -> bool:
        """Whether other drivers have running trials."""
        others = (trial for trial in self._trials() if driver(trial) != self._drivers.own)
        return any(trial.state is TrialState.RUNNING for trial in others)

    def may_run(self, number: int, parameters: Mapping[str, Any]) -> bool:
        """Whether the trial is among the first ``total``, and the first with its parameters."""
        before = [trial for trial in self._counted_trials() if trial.number < number]
        same = (identity(trial.params) == identity(parameters) for trial in before)
        return len(before) < self._total and not (self._unique and any(same))

    def _counted_trials(self) -> list[FrozenTrial]:
        return [
            trial for trial in self._trials() if recorded_outcome(trial) is not Outcome.WITHDRAWN
        ]

    def _trials(self) -> list[FrozenTrial]:
        """Read all trials of the study's group."""
        read: Callable[[], list[FrozenTrial]] = self._study.every
        return [trial for trial in self._retry(read) if group(trial) == self._study.group]
