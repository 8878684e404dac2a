"""What do trackers show of a study? A run for it and one for each trial, told by their changes."""

import shlex
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ugro.events.events import (
    Event,
    SlotsCounted,
    StudyFinished,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.study_state import StudyState
from ugro.events.trial_report import Report
from ugro.formatting import assignments
from ugro.paths import CONFIG, trial_folder
from ugro.shell import override
from ugro.tracking.description import described
from ugro.tracking.parameters import as_text, is_shown, parameters_of
from ugro.tracking.updates import Change, Point, Status, Table

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"


class Runs:
    """Turns events into changes; each event is told once, in order.

    Args:
        folder: the study's, where the configurations of its trials are
    """

    def __init__(self, folder: Path) -> None:
        self.standing = StudyState()
        self._folder = folder
        self._changes: dict[int | None, Change] = {}
        self._furthest: dict[int, Report] = {}  # of each trial
        self._configured: set[int | None] = set()  # whose parameters were told
        self._kinds: dict[int, str] = {}
        self._counts: Counter[str] = Counter()
        self._tokens = 0  # of all trials

    def changes(self, events: Iterable[Event], of: Container[int] | None = None) -> list[Change]:
        """What the events change; the study's own run comes first.

        Args:
            events: those that follow the last call's
            of: only what changes these trials' runs; the rest was told before. None: everything
        """
        self._changes = {}
        for event in events:
            number = getattr(event, "number", -1)
            before = self._furthest.get(number)
            self._note(event)
            if of is None or number in of:
                self._tell(event, before)
            else:
                self._was_told(event)
        if None in self._changes and self.standing.study is not None:
            self._own(0.0).description = described(self.standing, self._tokens)
        return sorted(
            self._changes.values(), key=lambda one: -1 if one.trial is None else one.trial
        )

    def _note(self, event: Event) -> None:
        self.standing.observe(event)
        if isinstance(event, TrialReported):
            number, tokens = event.number, event.report.tokens_seen
            known = self._furthest[number].tokens_seen if number in self._furthest else -1
            if tokens > known:
                self._furthest[number] = event.report
                self._tokens += tokens - max(known, 0)
        elif isinstance(event, TrialFinished | TrialRetried):
            if (before := self._kinds.pop(event.number, None)) is not None:
                self._counts[before] -= 1
            if isinstance(event, TrialFinished):
                self._kinds[event.number] = kind(event.ending)
                self._counts[kind(event.ending)] += 1

    def _was_told(self, event: Event) -> None:
        match event:
            case TrialAsked():
                self._configured.add(None)
            case TrialReported(number=number) | TrialFinished(number=number):
                self._configured.add(number)

    def _tell(self, event: Event, before: Report | None) -> None:
        match event:
            case StudyStarted():
                self._study_started(event)
            case SlotsCounted(slots=slots):
                point = Point("slots", slots, self.standing.done, event.time)
                self._own(event.time).points.append(point)
            case TrialAsked():
                self._asked(event)
            case TrialStarted(number=number):
                self._of(number, event.time).tags["worker"] = event.worker
            case TrialReported(number=number, report=report) if self._furthest[number] is report:
                self._reported(event, before)  # else it repeats what came after a checkpoint
            case TrialRetried():
                self._retried(event)
            case TrialFinished():
                self._finished(event)
            case StudyFinished() if not self.standing.running:  # else another driver goes on
                self._study_finished(event)

    def _study_started(self, event: StudyStarted) -> None:
        own = self._own(event.time)
        own.status, own.ended = Status.running, None
        aims = zip(event.directions, event.objectives, strict=True)
        own.tags |= event.provenance
        own.tags |= {
            "state": "running",
            "trials": str(event.trials),
            "objective": ", ".join(f"{direction} {name}" for direction, name in aims),
            "overrides": shlex.join(one for one in event.overrides if is_shown(one)),
        }

    def _asked(self, event: TrialAsked) -> None:
        study, number = self.standing.study, event.number
        if None not in self._configured and study is not None:
            self._configured.add(None)  # with what all trials share
            every = parameters_of(study.configuration, {})
            own = self._own(event.time)
            own.parameters |= _without(every, event.parameters)
            own.table = Table(
                study.objectives[0], study.directions[0] == "minimize", tuple(event.parameters)
            )
        one = self._of(number, event.time)
        one.status = Status.running
        one.parameters |= {key: as_text(value) for key, value in event.parameters.items()}
        one.tags |= {"state": "running", "source": event.source}
        one.description = ", ".join(assignments(event.parameters)) or "as configured"

    def _reported(self, event: TrialReported, before: Report | None) -> None:
        number, report = event.number, event.report
        self._configure(number, event.time)
        figures = {**report.metrics, "tokens_seen": report.tokens_seen, "seconds": report.seconds}
        if before is not None and report.seconds > before.seconds:  # in another process: from 0
            tokens = report.tokens_seen - before.tokens_seen
            figures["tokens_per_second"] = tokens / (report.seconds - before.seconds)
        one = self._of(number, event.time)
        one.points += [
            Point(name, float(value), report.step, event.time, report.tokens_seen)
            for name, value in figures.items()
        ]
        one.tags["rung"] = str(event.rung)

    def _retried(self, event: TrialRetried) -> None:
        one = self._of(event.number, event.time)
        one.status, one.ended = Status.running, None
        one.tags |= {
            "state": "running",
            "retried": str(event.times),
            "retried_because": event.why,
        }

    def _finished(self, event: TrialFinished) -> None:
        number, ending = event.number, event.ending
        self._configure(number, event.time)
        one = self._of(number, event.time)
        one.status, one.ended = _status(ending), event.time
        one.tags |= {"state": kind(ending), "reason": ending.value, **event.provenance}
        if event.error:
            one.tags["error"] = event.error
        one.files.append(trial_folder(self._folder, number) / CONFIG)
        if ending is Outcome.INTERRUPTED:
            return
        study, last = self.standing.study, self._furthest.get(number)
        values = dict(zip(study.objectives if study else (), event.values, strict=False))
        for name, value in {**event.metrics, **values}.items():
            one.points.append(Point(name, float(value), last.step if last else 0, event.time))
        self._count(event.time)

    def _count(self, now: float) -> None:
        """The study's own curves, over the trials that have ended."""
        standing, done = self.standing, self.standing.done
        figures: dict[str, float] = {
            f"trials/{name}": self._counts[name] for name in (COMPLETE, PRUNED, FAILED)
        }
        figures["tokens_seen"] = self._tokens
        for at, name in enumerate(standing.study.objectives if standing.study else ()):
            if (best := standing.best(at)) is not None:
                figures[f"best/{name}"] = standing.values[best][at]
        for name, value in figures.items():
            self._own(now).points.append(Point(name, float(value), done, now))
        if (best := standing.best()) is not None:
            asked = standing.parameters.get(best, {})
            overrides = shlex.join(override(key, value) for key, value in asked.items())
            self._own(now).tags |= {"best_trial": str(best), "best_overrides": overrides}

    def _study_finished(self, event: StudyFinished) -> None:
        own = self._own(event.time)
        own.status, own.ended = _ENDED.get(event.reason, Status.finished), event.time
        own.tags |= {"state": own.status.name, "reason": event.reason}

    def _configure(self, number: int, now: float) -> None:
        """Tell the rest of a trial's parameters, once: its worker has written them by now."""
        study, asked = self.standing.study, self.standing.parameters.get(number, {})
        if number in self._configured or study is None:
            return
        self._configured.add(number)
        written = trial_folder(self._folder, number) / CONFIG
        if written.exists():
            every = parameters_of(_plain(written), {})
        else:  # it is on another machine
            every = parameters_of(study.configuration, asked)
        self._of(number, now).parameters |= _without(every, asked)

    def _own(self, now: float) -> Change:
        study = self.standing.study
        return self._changes.setdefault(None, Change(None, study.name if study else "", now))

    def _of(self, number: int, now: float) -> Change:
        return self._changes.setdefault(number, Change(number, f"trial {number}", now))


def kind(ending: Outcome) -> str:
    """A trial's state, in a word."""
    if ending.is_pruned:
        return PRUNED
    return COMPLETE if ending.has_value else ending.value


def _status(ending: Outcome) -> Status:
    if ending.has_value:
        return Status.finished
    return Status.failed if ending is Outcome.FAILED else Status.killed


_ENDED = {"interrupted": Status.killed, "trials failed": Status.failed}


def _without(every: Mapping[str, str], keys: Container[str]) -> dict[str, str]:
    return {key: value for key, value in every.items() if key not in keys}


def _plain(written: Path) -> dict[str, Any]:
    plain = OmegaConf.to_container(OmegaConf.load(written), resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
