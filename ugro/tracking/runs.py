"""Convert events into updates of runs: a run for the study and a run for each trial."""

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
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.study_state import StudyState
from ugro.events.trial_report import Report
from ugro.formatting import assignments
from ugro.paths import CONFIG, trial_folder
from ugro.shell import override
from ugro.tracking.description import describe
from ugro.tracking.parameters import as_text, is_shown, parameters_of
from ugro.tracking.updates import Point, RunUpdate, Status, Table

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"


class Runs:
    """Convert events into run updates; the caller passes each event once, in order.

    Args:
        folder: the study's, which holds the configurations of its trials
    """

    def __init__(self, folder: Path) -> None:
        self.state = StudyState()
        self._folder = folder
        self._updates: dict[int | None, RunUpdate] = {}
        self._furthest: dict[int, Report] = {}  # report with the most tokens, by trial
        self._configured: set[int | None] = set()  # trials with sent parameters; None: the study
        self._kinds: dict[int, str] = {}
        self._counts: Counter[str] = Counter()
        self._tokens = 0  # trained on by all trials

    def updates(self, events: Iterable[Event], of: Container[int] | None = None) -> list[RunUpdate]:
        """Return the updates that the events cause; the study's own run comes first.

        Args:
            events: those after the last call's
            of: trials whose updates are returned; the rest was sent before. None: everything
        """
        self._updates = {}
        for event in events:
            number = getattr(event, "number", -1)
            before = self._furthest.get(number)
            self._accumulate(event)
            if of is None or number in of:
                self._update(event, before)
            else:
                self._mark_sent(event)
        if None in self._updates and self.state.study is not None:
            self._own(0.0).description = describe(self.state, self._tokens)
        return sorted(
            self._updates.values(), key=lambda update: -1 if update.trial is None else update.trial
        )

    def _accumulate(self, event: Event) -> None:
        self.state.observe(event)
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
                self._kinds[event.number] = state_of(event.outcome)
                self._counts[state_of(event.outcome)] += 1

    def _mark_sent(self, event: Event) -> None:
        match event:
            case TrialAsked():
                self._configured.add(None)
            case TrialReported(number=number) | TrialFinished(number=number):
                self._configured.add(number)

    def _update(self, event: Event, before: Report | None) -> None:
        match event:
            case StudyStarted():
                self._study_started(event)
            case SlotsCounted(slots=slots):
                point = Point("slots", slots, self.state.done, event.time)
                self._own(event.time).points.append(point)
            case TrialAsked():
                self._asked(event)
            case TrialStarted(number=number):
                self._of(number, event.time).tags["worker"] = event.worker
            case TrialReported(number=number, report=report) if self._furthest[number] is report:
                self._reported(event, before)  # others repeat steps after a checkpoint
            case TrialPaused():
                self._paused(event)
            case TrialResumed():
                self._resumed(event.number, event.time)
            case TrialRetried():
                self._retried(event)
            case TrialFinished():
                self._finished(event)
            case StudyFinished() if not self.state.running:  # another driver may still run trials
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
            "overrides": shlex.join(text for text in event.overrides if is_shown(text)),
        }

    def _asked(self, event: TrialAsked) -> None:
        study, number = self.state.study, event.number
        if None not in self._configured and study is not None:
            self._configured.add(None)  # with the parameters that all trials share
            parameters = parameters_of(study.configuration, {})
            own = self._own(event.time)
            own.parameters |= _without(parameters, event.parameters)
            own.table = Table(
                study.objectives[0], study.directions[0] == "minimize", tuple(event.parameters)
            )
        run = self._of(number, event.time)
        run.status = Status.running
        run.parameters |= {key: as_text(value) for key, value in event.parameters.items()}
        run.tags |= {"state": "running", "source": event.source}
        run.description = ", ".join(assignments(event.parameters)) or "as configured"

    def _reported(self, event: TrialReported, before: Report | None) -> None:
        number, report = event.number, event.report
        self._configure(number, event.time)
        metrics = {**report.metrics, "tokens_seen": report.tokens_seen, "seconds": report.seconds}
        if before is not None and report.seconds > before.seconds:  # a new process starts from 0
            tokens = report.tokens_seen - before.tokens_seen
            metrics["tokens_per_second"] = tokens / (report.seconds - before.seconds)
        run = self._of(number, event.time)
        run.points += [
            Point(name, float(value), report.step, event.time, report.tokens_seen)
            for name, value in metrics.items()
        ]
        run.tags["rung"] = str(event.rung)

    def _retried(self, event: TrialRetried) -> None:
        self._resumed(event.number, event.time)
        run = self._of(event.number, event.time)
        run.tags |= {"retried": str(event.times), "retried_because": event.why}

    def _resumed(self, number: int, now: float) -> None:
        run = self._of(number, now)
        run.status, run.ended = Status.running, None
        run.tags["state"] = "running"

    def _paused(self, event: TrialPaused) -> None:
        self._configure(event.number, event.time)
        run = self._of(event.number, event.time)
        run.status, run.ended = Status.killed, event.time
        run.tags["state"] = Outcome.PAUSED.value

    def _finished(self, event: TrialFinished) -> None:
        number, outcome = event.number, event.outcome
        self._configure(number, event.time)
        run = self._of(number, event.time)
        run.status, run.ended = _status(outcome), event.time
        run.tags |= {"state": state_of(outcome), "reason": outcome.value, **event.provenance}
        if event.error:
            run.tags["error"] = event.error
        run.files.append(trial_folder(self._folder, number) / CONFIG)
        if outcome is Outcome.INTERRUPTED:
            return
        study, last = self.state.study, self._furthest.get(number)
        values = dict(zip(study.objectives if study else (), event.values, strict=False))
        for name, value in {**event.metrics, **values}.items():
            run.points.append(Point(name, float(value), last.step if last else 0, event.time))
        self._count(event.time)

    def _count(self, now: float) -> None:
        """Update the study's curves over the ended trials."""
        state, done = self.state, self.state.done
        metrics: dict[str, float] = {
            f"trials/{name}": self._counts[name] for name in (COMPLETE, PRUNED, FAILED)
        }
        metrics["tokens_seen"] = self._tokens
        for at, name in enumerate(state.study.objectives if state.study else ()):
            if (best := state.best(at)) is not None:
                metrics[f"best/{name}"] = state.values[best][at]
        for name, value in metrics.items():
            self._own(now).points.append(Point(name, float(value), done, now))
        if (best := state.best()) is not None:
            asked = state.parameters.get(best, {})
            overrides = shlex.join(override(key, value) for key, value in asked.items())
            self._own(now).tags |= {"best_trial": str(best), "best_overrides": overrides}

    def _study_finished(self, event: StudyFinished) -> None:
        own = self._own(event.time)
        own.status, own.ended = _ENDED.get(event.reason, Status.finished), event.time
        own.tags |= {"state": own.status.name, "reason": event.reason}

    def _configure(self, number: int, now: float) -> None:
        """Add a trial's other parameters, once its worker has written its configuration."""
        study, asked = self.state.study, self.state.parameters.get(number, {})
        if number in self._configured or study is None:
            return
        self._configured.add(number)
        path = trial_folder(self._folder, number) / CONFIG
        if path.exists():
            parameters = parameters_of(_load_plain(path), {})
        else:  # the trial's folder is on another machine
            parameters = parameters_of(study.configuration, asked)
        self._of(number, now).parameters |= _without(parameters, asked)

    def _own(self, now: float) -> RunUpdate:
        study = self.state.study
        return self._updates.setdefault(None, RunUpdate(None, study.name if study else "", now))

    def _of(self, number: int, now: float) -> RunUpdate:
        return self._updates.setdefault(number, RunUpdate(number, f"trial {number}", now))


def state_of(outcome: Outcome) -> str:
    """Return the state of a trial for trackers."""
    if outcome.is_pruned:
        return PRUNED
    return COMPLETE if outcome.has_value else outcome.value


def _status(outcome: Outcome) -> Status:
    if outcome.has_value:
        return Status.finished
    return Status.failed if outcome is Outcome.FAILED else Status.killed


_ENDED = {"interrupted": Status.killed, "trials failed": Status.failed}


def _without(parameters: Mapping[str, str], keys: Container[str]) -> dict[str, str]:
    return {key: value for key, value in parameters.items() if key not in keys}


def _load_plain(path: Path) -> dict[str, Any]:
    plain = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
