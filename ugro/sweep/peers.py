"""Other drivers of the study: their trials are heard of, and taken over if they die."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from ugro.events.event_log import Follower
from ugro.events.events import TrialAsked, TrialReported
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.retries import retrying
from ugro.space.feasible import identity
from ugro.study.storage import is_trouble
from ugro.study.study import Study, driver, ending, group, retried, started
from ugro.sweep.drivers import Drivers


@dataclass(frozen=True)
class News:
    """What other drivers have done."""

    begun: Sequence[FrozenTrial]
    ended: Sequence[FrozenTrial]
    left: int  # trials that the study still needs


class Peers(Protocol):
    """The other drivers."""

    def reports(self) -> Iterator[tuple[int, Report]]:
        """What their trials have reported since it was last asked."""

    def news(self) -> News | None:
        """What has happened since it was last asked; None where there is no other."""

    def abandoned(self) -> FrozenTrial | None:
        """A trial on which nobody works any more; now it is this driver's."""

    def are_at_work(self) -> bool:
        """Whether there are trials that have not ended."""

    def grants(self, number: int, parameters: Mapping[str, Any]) -> bool:
        """Whether this driver may run the trial that it has recorded; else another was faster."""


class NoPeers:
    """This driver is the only one."""

    def reports(self) -> Iterator[tuple[int, Report]]:
        """None."""
        return iter(())

    def news(self) -> News | None:
        """None."""
        return None

    def abandoned(self) -> FrozenTrial | None:
        """None: what an earlier driver left is known from the beginning."""
        return None

    def are_at_work(self) -> bool:
        """No."""
        return False

    def grants(self, number: int, parameters: Mapping[str, Any]) -> bool:
        """Always."""
        return True


class SharedStudy:
    """Drivers that share a storage and the study's folder.

    They agree by the trials' numbers, which the storage gives out one by one: of two trials with
    the same parameters the lower number is run, and so are the first ``total`` of all.

    Args:
        study: its record
        drivers: of the study
        log: ``events.jsonl``, which all of them write
        total: trials of the finished study
        once: whether no parameters are run twice
        known: the numbers of trials that had ended, which are no news
    """

    def __init__(
        self,
        study: Study,
        drivers: Drivers,
        log: Path,
        total: int,
        once: bool,
        known: Collection[int],
    ) -> None:
        self._study = study
        self._drivers = drivers
        self._follower = Follower(log)
        self._total = total
        self._once = once
        self._begun: set[int] = set()
        self._ended = set(known)
        own, every = study.group, study.every()
        self._of_other_groups = {one.number for one in every if group(one) != own}
        self._patience = retrying(is_trouble, "The study's record cannot be read")

    def reports(self) -> Iterator[tuple[int, Report]]:
        """What the log has got from others; trials of another group are none of ours."""
        for said in self._follower.events():
            if said["event"] == TrialAsked.__name__ and said.get("group", 0) != self._study.group:
                self._of_other_groups.add(said["number"])
            reported = said["event"] == TrialReported.__name__
            if reported and said["number"] not in self._of_other_groups:
                yield said["number"], Report.from_dict(said)

    def news(self) -> News:
        """What the record has got from others."""
        counted = [one for one in self._every() if ending(one) is not Outcome.WITHDRAWN]
        others = [one for one in counted if driver(one) != self._drivers.own]
        begun = [one for one in others if one.number not in self._begun]
        ended = [one for one in others if one.state.is_finished() and one.number not in self._ended]
        self._begun |= {one.number for one in begun}
        self._ended |= {one.number for one in ended}
        return News(begun, ended, self._total - len(counted))

    def abandoned(self) -> FrozenTrial | None:
        """One whose driver is dead, or was interrupted."""
        every = self._every()
        if not any(self._is_left(one) for one in every):
            return None
        claim: Callable[[], FrozenTrial | None] = self._claim
        with self._drivers.one_at_a_time():
            return self._patience(claim)

    def _claim(self) -> FrozenTrial | None:
        self._study.close_abandoned(self._drivers.is_alive)
        for one in self._study.unfinished():
            if self._study.retry(started(one), retried(one), self._drivers.own):
                return one
        return None

    def _is_left(self, one: FrozenTrial) -> bool:
        waits = one.state is TrialState.WAITING and ending(one) is not None
        runs = one.state is TrialState.RUNNING
        return waits or (runs and not self._drivers.is_alive(driver(one)))

    def are_at_work(self) -> bool:
        """Whether another driver has trials that run."""
        others = (one for one in self._every() if driver(one) != self._drivers.own)
        return any(one.state is TrialState.RUNNING for one in others)

    def grants(self, number: int, parameters: Mapping[str, Any]) -> bool:
        """Whether it is among the first, and the first of its parameters."""
        run = [one for one in self._every() if ending(one) is not Outcome.WITHDRAWN]
        before = [one for one in run if one.number < number]
        same = (identity(one.params) == identity(parameters) for one in before)
        return len(before) < self._total and not (self._once and any(same))

    def _every(self) -> list[FrozenTrial]:
        """All trials of the group."""
        read: Callable[[], list[FrozenTrial]] = self._study.every
        return [one for one in self._patience(read) if group(one) == self._study.group]
