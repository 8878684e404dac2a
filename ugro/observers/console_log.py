"""Log one plain line per event that matters to a user."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ugro.events.events import (
    Event,
    ModelChanged,
    ProposalRejected,
    SlotsCounted,
    StudyFinished,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialRetried,
)
from ugro.events.outcome import Outcome
from ugro.events.study_state import StudyState
from ugro.formatting import duration, measured

log = logging.getLogger(__name__)
USUAL_SOURCES = ("sampler", "scheduler", "space")  # of a trial, not worth a mention


class ConsoleLog:
    """Log to Hydra's handlers: ``sweep.log``, and the terminal unless the live display runs.

    Args:
        state: of the study before its first event
    """

    def __init__(self, state: StudyState) -> None:
        self._state = state
        self._rejected: Counter[str] = Counter()  # by reason
        self._last: dict[int, TrialReported] = {}  # by the trial's number, while it runs

    def observe(self, event: Event) -> None:
        """Log the event if it matters."""
        self._state.observe(event)
        match event:
            case StudyStarted():
                done = f", {event.finished} of them done" if event.finished else ""
                log.info(
                    "Study %s: %d trials%s, in %s", event.name, event.trials, done, event.folder
                )
            case SlotsCounted(slots=slots):
                log.info("%d %s at once", slots, "trial" if slots == 1 else "trials")
            case TrialAsked():
                shown = _assignments(event.parameters) or "as configured"
                source = "" if event.source in USUAL_SOURCES else f" ({event.source})"
                log.info("trial %d: %s%s", event.number, shown, source)
            case ProposalRejected():
                self._reject(event)
            case ModelChanged():
                log.info("%s proposes from now on: %s", event.model, event.reason)
            case TrialReported():
                self._last[event.number] = event
            case TrialPaused(number=number):
                last = self._last.get(number)
                at = f" at {_tokens(last.report.tokens_seen)}" if last else ""
                log.info("trial %d is paused%s", number, at)
            case TrialResumed(number=number):
                log.info("trial %d resumes: it was paused", number)
            case TrialRetried(times=times):
                if times:
                    log.warning("trial %d resumes, retry %d: %s", event.number, times, event.why)
                else:
                    log.info("trial %d resumes: %s", event.number, event.why)
            case TrialFinished():
                self._finish(event)
            case StudyFinished():
                log.info("Study ended: %s%s", event.reason, self._counts(event))

    def _reject(self, event: ProposalRejected) -> None:
        """Log the first rejection for each reason; a sampler may need hundreds to adapt."""
        for reason in event.reasons:
            if not self._rejected[reason]:
                shown = _assignments(event.parameters)
                log.info("not run, %s: %s; others like it are counted", reason, shown)
            self._rejected[reason] += 1

    def _finish(self, event: TrialFinished) -> None:
        last = self._last.pop(event.number, None)
        if event.error:
            log.warning("trial %d %s: %s", event.number, event.outcome.in_words, event.error)
            return
        result = self._values(event) if event.values else event.outcome.in_words
        if event.outcome is Outcome.PLATEAU:
            result += f", {event.outcome.in_words}"
        if event.outcome is Outcome.RUNG and last is not None and last.rung:
            result += f" {last.rung}"
        log.info("trial %d %s%s%s", event.number, result, _after(event), self._progress(event))

    def _values(self, event: TrialFinished) -> str:
        names = self._state.study.objectives if self._state.study else ()
        pairs = zip(names, event.values, strict=True)
        return ", ".join(f"{name} {measured(value)}" for name, value in pairs)

    def _progress(self, event: TrialFinished) -> str:
        """Return whether the trial is the best, and its gain over the baseline."""
        state = self._state
        if len(event.values) > 1:
            return ": not dominated so far" if event.number in state.front else ""
        if not event.values or state.best() != event.number:
            return ""
        gain = state.gain()
        if gain is None:
            return ": the best so far"
        share = "" if gain.share is None else f" ({gain.share:.1%})"
        return f": the best so far, {measured(gain.amount)}{share} better than the baseline"

    def _counts(self, event: StudyFinished) -> str:
        """Summarise outcomes, rejected proposals and duration."""
        state = self._state
        parts = [f"{count} {label}" for label, count in state.counts.items()]
        parts += [f"{len(state.paused)} paused"] * bool(state.paused)
        parts += [f"{count} not run, {reason}" for reason, count in self._rejected.items()]
        if state.study is not None:
            parts.append(f"in {duration(event.time - state.study.time)}")
        return f": {', '.join(parts)}" if parts else ""


def _assignments(parameters: Mapping[str, Any]) -> str:
    """Format parameters with full keys, for searching the log, and four significant digits."""
    shown = {
        key: f"{value:.4g}" if isinstance(value, float) else value
        for key, value in parameters.items()
    }
    return " ".join(f"{key}={value}" for key, value in shown.items())


def _tokens(seen: float) -> str:
    return f"{seen:,.0f} tokens"


def _after(event: TrialFinished) -> str:
    measured = event.metrics
    tokens = _tokens(measured["tokens_seen"]) if "tokens_seen" in measured else ""
    seconds = f"{measured['train_seconds']:.0f} s" if "train_seconds" in measured else ""
    after = ", ".join(part for part in (tokens, seconds) if part)
    return f" after {after}" if after else ""
