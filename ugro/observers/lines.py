"""What does a log say of a study? One plain line for each event that matters."""

import logging

from ugro.ending import Ending
from ugro.events import (
    Event,
    StudyFinished,
    StudyStarted,
    TrialAsked,
    TrialFinished,
)

log = logging.getLogger(__name__)


class Lines:
    """Writes to the log that Hydra set up: the terminal and the sweep's log file."""

    def observe(self, event: Event) -> None:
        """Write a line, or nothing."""
        match event:
            case StudyStarted():
                done = f", {event.finished} of them done" if event.finished else ""
                log.info(
                    "Study %s: %d trials%s, in %s", event.name, event.trials, done, event.folder
                )
            case TrialAsked():
                shown = " ".join(
                    f"{key}={shorten(value)}" for key, value in event.parameters.items()
                )
                source = "" if event.source in ("sampler", "space") else f" ({event.source})"
                log.info("trial %d: %s%s", event.number, shown or "as configured", source)
            case TrialFinished(error=error) if error:
                log.warning("trial %d %s: %s", event.number, event.ending.value, error)
            case TrialFinished():
                log.info("trial %d %s", event.number, _ended(event))
            case StudyFinished():
                log.info("Study ended: %s", event.reason)


def _ended(event: TrialFinished) -> str:
    value = ", ".join(f"{value:.4f}" for value in event.values)
    how = value if event.ending is Ending.COMPLETE else f"{event.ending.value} {value}".strip()
    tokens = f"{event.metrics['tokens_seen']:,.0f} tokens" if "tokens_seen" in event.metrics else ""
    seconds = f"{event.metrics['train_seconds']:.0f} s" if "train_seconds" in event.metrics else ""
    after = ", ".join(part for part in (tokens, seconds) if part)
    return f"{how} after {after}" if after else how


def shorten(value: object) -> object:
    """A parameter's value as people read it: four significant digits."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
