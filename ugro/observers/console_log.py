"""What does a log say of a study? One plain line for each event that matters."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ugro.events.events import (
    Event,
    ProposalRejected,
    SlotsCounted,
    StudyFinished,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialRetried,
)
from ugro.events.outcome import Outcome
from ugro.events.study_state import StudyState
from ugro.formatting import duration, measured

log = logging.getLogger(__name__)


class ConsoleLog:
    """Writes to the log that Hydra set up: ``sweep.log``, and the terminal beside no display.

    Args:
        standing: of the study before its first event
    """

    def __init__(self, standing: StudyState) -> None:
        self._standing = standing
        self._rejected: Counter[str] = Counter()  # by reason
        self._last: dict[int, TrialReported] = {}  # by the trial's number, while it runs

    def observe(self, event: Event) -> None:
        """Write a line, or nothing."""
        self._standing.observe(event)
        match event:
            case StudyStarted():
                done = f", {event.finished} of them done" if event.finished else ""
                log.info(
                    "Study %s: %d trials%s, in %s", event.name, event.trials, done, event.folder
                )
            case SlotsCounted(slots=slots):
                log.info("%d %s at once", slots, "trial" if slots == 1 else "trials")
            case TrialAsked():
                shown = _told(event.parameters) or "as configured"
                source = "" if event.source in ("sampler", "space") else f" ({event.source})"
                log.info("trial %d: %s%s", event.number, shown, source)
            case ProposalRejected():
                self._reject(event)
            case TrialReported():
                self._last[event.number] = event
            case TrialRetried(times=times):
                if times:
                    log.warning("trial %d goes on, retry %d: %s", event.number, times, event.why)
                else:
                    log.info("trial %d goes on: %s", event.number, event.why)
            case TrialFinished():
                self._finish(event)
            case StudyFinished():
                log.info("Study ended: %s%s", event.reason, self._counts(event))

    def _reject(self, event: ProposalRejected) -> None:
        """The first of each kind: a sampler may need hundreds to learn."""
        for reason in event.reasons:
            if not self._rejected[reason]:
                shown = _told(event.parameters)
                log.info("not run, %s: %s; others like it are counted", reason, shown)
            self._rejected[reason] += 1

    def _finish(self, event: TrialFinished) -> None:
        last = self._last.pop(event.number, None)
        if event.error:
            log.warning("trial %d %s: %s", event.number, event.ending.in_words, event.error)
            return
        how = self._values(event) if event.values else event.ending.in_words
        if event.ending is Outcome.PLATEAU:
            how += f", {event.ending.in_words}"
        if event.ending is Outcome.RUNG and last is not None and last.rung:
            how += f" {last.rung}"
        log.info("trial %d %s%s%s", event.number, how, _after(event), self._progress(event))

    def _values(self, event: TrialFinished) -> str:
        names = self._standing.study.objectives if self._standing.study else ()
        told = zip(names, event.values, strict=True)
        return ", ".join(f"{name} {measured(value)}" for name, value in told)

    def _progress(self, event: TrialFinished) -> str:
        """Whether it is the best, and how much better than the configuration as it was."""
        at = self._standing
        if len(event.values) > 1:
            return ": not dominated so far" if event.number in at.front else ""
        if not event.values or at.best() != event.number:
            return ""
        gain = at.gain()
        if gain is None:
            return ": the best so far"
        share = "" if gain.share is None else f" ({gain.share:.1%})"
        return f": the best so far, {measured(gain.amount)}{share} better than the baseline"

    def _counts(self, event: StudyFinished) -> str:
        """What became of all trials and proposals, and in what time."""
        at = self._standing
        told = [f"{count} {how}" for how, count in at.counts.items()]
        told += [f"{count} not run, {reason}" for reason, count in self._rejected.items()]
        if at.study is not None:
            told.append(f"in {duration(event.time - at.study.time)}")
        return f": {', '.join(told)}" if told else ""


def _told(parameters: Mapping[str, Any]) -> str:
    """Keys in full, as this is what a log is searched for; four significant digits."""
    shown = {
        key: f"{value:.4g}" if isinstance(value, float) else value
        for key, value in parameters.items()
    }
    return " ".join(f"{key}={value}" for key, value in shown.items())


def _after(event: TrialFinished) -> str:
    measured = event.metrics
    tokens = f"{measured['tokens_seen']:,.0f} tokens" if "tokens_seen" in measured else ""
    seconds = f"{measured['train_seconds']:.0f} s" if "train_seconds" in measured else ""
    after = ", ".join(part for part in (tokens, seconds) if part)
    return f" after {after}" if after else ""
