"""Events of a study, in the order in which observers receive them."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report

log = logging.getLogger(__name__)
IMPORTED_FROM = "imported_from"  # in the provenance of a study whose trials another program ran


@dataclass(frozen=True)
class Event:
    """Base class of all events."""

    time: float = field(default_factory=time.time, kw_only=True)  # Unix time


@dataclass(frozen=True)
class StudyStarted(Event):
    """The driver started or resumed the study."""

    name: str
    folder: str
    trials: int  # in total, finished ones included
    finished: int
    objectives: tuple[str, ...]
    directions: tuple[str, ...]  # minimize or maximize
    overrides: tuple[str, ...] = ()  # of the command line
    configuration: Mapping[str, Any] = field(default_factory=dict)  # interpolations as written
    provenance: Mapping[str, str] = field(default_factory=dict)  # of the driver
    id: str = ""  # stored in the study's record and in its folder
    group: int = 0  # trials of one group are ranked together
    definition: Mapping[str, str] = field(default_factory=dict)
    space: Mapping[str, str] = field(default_factory=dict)  # Optuna's distributions, as JSON


@dataclass(frozen=True)
class SlotsCounted(Event):
    """The number of trials that can run at once changed."""

    slots: int


@dataclass(frozen=True)
class TrialAsked(Event):
    """A trial received its number and parameters and was submitted to a slot."""

    number: int
    parameters: Mapping[str, Any]
    # baseline, enqueued, warm_start, space, sampler, scheduler, random; trial 7: confirmed
    source: str
    group: int = 0  # of the study's trials


@dataclass(frozen=True)
class ProposalRejected(Event):
    """A proposal of the sampler was rejected."""

    parameters: Mapping[str, Any]
    reasons: tuple[str, ...]  # violated constraints, or duplicate


@dataclass(frozen=True)
class ModelChanged(Event):
    """The sampler proposes by another model from now on."""

    model: str
    reason: str


@dataclass(frozen=True)
class TrialStarted(Event):
    """A worker started the trial."""

    number: int
    worker: str = ""  # host and process


@dataclass(frozen=True)
class TrialReported(Event):
    """A trial reported an evaluation and received a decision."""

    number: int
    report: Report
    stop: Outcome | None  # PAUSED: it is asked to pause
    rung: int = 0  # number of rungs reached


@dataclass(frozen=True)
class TrialRetried(Event):
    """An interrupted trial restarts from its last checkpoint, under the same number."""

    number: int
    why: str
    times: int  # retries so far, this one included; 0 after an interruption of the sweep


@dataclass(frozen=True)
class TrialPaused(Event):
    """A trial was paused by the trial scheduler; its slot is free, its checkpoint is kept."""

    number: int


@dataclass(frozen=True)
class TrialResumed(Event):
    """The trial scheduler resumes a paused trial, from its last checkpoint."""

    number: int


@dataclass(frozen=True)
class TrialFinished(Event):
    """A trial ended."""

    number: int
    outcome: Outcome  # the key in the event log is ``ending``
    values: tuple[float, ...]  # empty unless the trial is complete
    metrics: Mapping[str, float]
    error: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)  # code, data, model, machine


@dataclass(frozen=True)
class TestMeasured(Event):
    """A finished trial was evaluated on the test part, which is not used for selection."""

    __test__ = False  # not a pytest class

    number: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class StudyFinished(Event):
    """The driver ended."""

    reason: str


# What trial schedulers learn from.
SchedulerEvent = TrialAsked | TrialReported | TrialResumed


class Observer(Protocol):
    """Receiver of a study's events."""

    def observe(self, event: Event) -> None:
        """Handle an event."""


class EventStream:
    """Pass each event to every observer; a failing observer is logged once, then removed."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = list(observers)

    def emit(self, event: Event) -> None:
        """Pass an event to the observers."""
        for observer in list(self._observers):
            try:
                observer.observe(event)
            except Exception:  # a failing observer must not stop the training
                self._observers.remove(observer)
                log.exception("%s failed and was removed", type(observer).__name__)
