"""How does a running study do, as numbers over time? For a Prometheus server to scrape.

Names and units follow https://prometheus.io/docs/practices/naming/.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from ugro.config import PrometheusConfig
from ugro.errors import UserError, fault
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
    TrialStarted,
)
from ugro.events.outcome import Outcome

# From an evaluation on a worker to the driver's note of it.
LAG_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
log = logging.getLogger(__name__)


class Prometheus:
    """Serves the study's figures over HTTP from a thread of its own until the study ends.

    Args:
        config: where
        clock: Unix time

    Raises:
        UserError: the port is taken.
    """

    def __init__(self, config: PrometheusConfig, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._figures = Figures(CollectorRegistry())
        try:
            self._server, self._thread = start_http_server(
                config.port, config.host, self._figures.registry
            )
        except OSError as error:
            given = f"{config.host}:{config.port}"
            allowed = f"an address and a port that are free ({error.strerror})"
            raise UserError(fault("monitoring.prometheus", given, allowed)) from error
        self.port: int = self._server.server_address[1]
        log.info("Figures for Prometheus: http://%s:%d/metrics", config.host, self.port)
        self._minimised: tuple[bool, ...] = ()
        self._tokens: dict[int, int] = {}  # by trial, as far as it has reported
        self._speed: dict[int, tuple[int, float]] = {}  # tokens and seconds at its last report
        self._paced: set[int] = set()  # trials whose speed is shown
        self._begun: set[int] = set()
        self._best: dict[str, float] = {}

    def observe(self, event: Event) -> None:
        """Count it."""
        figures = self._figures
        figures.last_event.set(event.time)
        match event:
            case StudyStarted():
                self._started(event)
            case SlotsCounted():
                figures.slots.set(event.slots)
            case ProposalRejected():
                figures.rejected.inc()
            case TrialAsked():
                figures.asked.inc()
                figures.waiting.dec()
            case TrialStarted():
                self._begun.add(event.number)
            case TrialReported():
                self._reported(event)
            case TrialRetried():
                self._left(event.number)
                figures.retries.inc()
            case TrialFinished():
                self._finished(event)
            case StudyFinished():
                figures.running.set(0)
                self._server.shutdown()
                self._server.server_close()
        figures.running.set(len(self._begun))

    def _started(self, event: StudyStarted) -> None:
        figures = self._figures
        figures.info.labels(event.name).set(1)
        figures.planned.set(event.trials)
        figures.finished_before.set(event.finished)
        figures.waiting.set(event.trials - event.finished)
        self._objectives = event.objectives
        self._minimised = tuple(one == "minimize" for one in event.directions)

    def _reported(self, event: TrialReported) -> None:
        figures, number, report = self._figures, event.number, event.report
        figures.reports.inc()
        figures.lag.observe(max(0.0, self._clock() - report.time))
        new = report.tokens_seen - self._tokens.get(number, 0)
        if new > 0:  # a continued trial repeats what came after its checkpoint
            figures.tokens.inc(new)
            self._tokens[number] = report.tokens_seen
        tokens, seconds = self._speed.get(number, (0, 0.0))
        if report.seconds > seconds and report.tokens_seen > tokens:
            pace = (report.tokens_seen - tokens) / (report.seconds - seconds)
            figures.tokens_per_second.labels(str(number)).set(pace)
            self._paced.add(number)
        self._speed[number] = report.tokens_seen, report.seconds

    def _finished(self, event: TrialFinished) -> None:
        figures, how = self._figures, event.ending
        self._left(event.number)
        self._tokens.pop(event.number, None)
        figures.finished.labels(how.value).inc()
        if how is Outcome.FAILED:
            figures.failures.labels(event.error.partition(":")[0]).inc()
        for name, value, minimised in zip(
            self._objectives, event.values, self._minimised, strict=False
        ):
            before = self._best.get(name, math.inf if minimised else -math.inf)
            self._best[name] = min(before, value) if minimised else max(before, value)
            figures.best.labels(name).set(self._best[name])

    def _left(self, number: int) -> None:
        """A trial is in its slot no more."""
        self._begun.discard(number)
        self._speed.pop(number, None)
        if number in self._paced:
            self._paced.remove(number)
            self._figures.tokens_per_second.remove(str(number))


class Figures:
    """Every figure, with its name and what it says."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def gauge(name: str, says: str, labels: tuple[str, ...] = ()) -> Any:
            return Gauge(f"ugro_{name}", says, labels, registry=registry)

        def counter(name: str, says: str, labels: tuple[str, ...] = ()) -> Any:
            return Counter(f"ugro_{name}", says, labels, registry=registry)

        self.info = gauge("study_info", "1, with the study's name", ("study",))
        self.planned = gauge("trials_planned", "Trials of the finished study")
        self.finished_before = gauge(
            "trials_finished_before", "Trials that had ended when this driver began"
        )
        self.waiting = gauge("trials_waiting", "Trials that no slot has been handed yet")
        self.asked = counter("trials_asked", "Trials handed to a slot")
        self.running = gauge("trials_running", "Trials that a worker has taken up")
        self.finished = counter("trials_finished", "Trials that ended, by how", ("ending",))
        self.failures = counter(
            "failures", "Trials that ended in an error, by its name", ("error",)
        )
        self.retries = counter("retries", "Trials run again after their worker was lost")
        self.rejected = counter("proposals_rejected", "Proposals that constraints do not allow")
        self.slots = gauge("slots", "Trials that can run at once")
        self.best = gauge("best_value", "The best so far", ("objective",))
        self.reports = counter("reports", "Evaluations")
        self.tokens = counter("tokens", "Tokens trained on, repeated ones counted once")
        self.tokens_per_second = gauge(
            "trial_tokens_per_second",
            "Between its last two reports, evaluation counted",
            ("trial",),
        )
        self.lag = Histogram(
            "ugro_report_lag_seconds",
            "From an evaluation to the driver's note of it",
            buckets=LAG_SECONDS,
            registry=registry,
        )
        self.last_event = gauge("last_event_timestamp_seconds", "When something happened last")
