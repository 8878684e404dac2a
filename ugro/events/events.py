"""Events of a study, told to observers in the order in which they happen."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    time: float = field(default_factory=time.time, kw_only=True)  # Unix time


@dataclass(frozen=True)
class StudyStarted(Event):
    """The driver begins or goes on."""

    name: str
    folder: str
    trials: int  # in total, finished ones included
    finished: int
    objectives: tuple[str, ...]
    directions: tuple[str, ...]  # minimize or maximize
    overrides: tuple[str, ...] = ()  # of the command line
    configuration: Mapping[str, Any] = field(default_factory=dict)  # interpolations as written
    provenance: Mapping[str, str] = field(default_factory=dict)  # of the driver
    id: str = ""  # the study's own, in its record and in its folder
    group: int = 0  # of trials that are ranked together
    definition: Mapping[str, str] = field(default_factory=dict)
    space: Mapping[str, str] = field(default_factory=dict)  # Optuna's distributions, as JSON


@dataclass(frozen=True)
class SlotsCounted(Event):
    """From now on so many trials may run at once."""

    slots: int


@dataclass(frozen=True)
class TrialAsked(Event):
    """A trial got its number and its parameters and was handed to a slot."""

    number: int
    parameters: Mapping[str, Any]
    source: str  # baseline, enqueued, warm_start, space, sampler, random; trial 7: confirmed
    group: int = 0  # of the study's trials


@dataclass(frozen=True)
class ProposalRejected(Event):
    """What the sampler proposed is not run."""

    parameters: Mapping[str, Any]
    reasons: tuple[str, ...]  # the constraints that it breaks, or duplicate


@dataclass(frozen=True)
class TrialStarted(Event):
    """A worker has taken the trial up."""

    number: int
    worker: str = ""  # host and process


@dataclass(frozen=True)
class TrialReported(Event):
    """An evaluation, and whether the trial was told to stop after it."""

    number: int
    report: Report
    stop: Outcome | None
    rung: int = 0  # rungs that the trial has come to


@dataclass(frozen=True)
class TrialRetried(Event):
    """A trial that had begun is run again under its number, from its last checkpoint."""

    number: int
    why: str
    times: int  # that it was retried, this one included; 0 where only the sweep was interrupted


@dataclass(frozen=True)
class TrialFinished(Event):
    """A trial ended, however it ended."""

    number: int
    ending: Outcome
    values: tuple[float, ...]  # empty unless it is complete
    metrics: Mapping[str, float]
    error: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)  # code, data, model, machine


@dataclass(frozen=True)
class TestMeasured(Event):
    """A finished trial was measured on the test part, which chose nothing."""

    __test__ = False  # no test of pytest's

    number: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class StudyFinished(Event):
    """The driver ends."""

    reason: str


class Observer(Protocol):
    """Whoever wants to know."""

    def observe(self, event: Event) -> None:
        """Take note of an event."""


class EventStream:
    """Hands each event to every observer; one that fails is told once and heard no more."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = list(observers)

    def emit(self, event: Event) -> None:
        """Tell the observers."""
        for observer in list(self._observers):
            try:
                observer.observe(event)
            except Exception:  # whatever an observer does, training goes on
                self._observers.remove(observer)
                log.exception("%s failed and hears no more", type(observer).__name__)
