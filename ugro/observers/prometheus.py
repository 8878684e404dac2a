"""Metrics of a running study for a Prometheus server.

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
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome

# From an evaluation on a worker until the driver receives it.
LAG_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
log = logging.getLogger(__name__)


class Prometheus:
    """Serve the study's metrics over HTTP, from a thread, until the study ends.

    Args:
        config: host and port
        clock: Unix time

    Raises:
        UserError: the port is taken.
    """

    def __init__(self, config: PrometheusConfig, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._metrics = Metrics(CollectorRegistry())
        try:
            self._server, self._thread = start_http_server(
                config.port, config.host, self._metrics.registry
            )
        except OSError as error:
            given = f"{config.host}:{config.port}"
            allowed = f"an address and a port that are free ({error.strerror})"
            raise UserError(fault("monitoring.prometheus", given, allowed)) from error
        self.port: int = self._server.server_address[1]
        log.info("Metrics for Prometheus: http://%s:%d/metrics", config.host, self.port)
        self._minimised: tuple[bool, ...] = ()
        self._tokens: dict[int, int] = {}  # by trial, up to its last report
        self._speed: dict[int, tuple[int, float]] = {}  # tokens, seconds at the last report
        self._with_speed: set[int] = set()  # trials with a published speed
        self._started_trials: set[int] = set()
        self._paused: set[int] = set()
        self._best: dict[str, float] = {}

    def observe(self, event: Event) -> None:
        """Update the metrics."""
        metrics = self._metrics
        metrics.last_event.set(event.time)
        match event:
            case StudyStarted():
                self._started(event)
            case SlotsCounted():
                metrics.slots.set(event.slots)
            case ProposalRejected():
                metrics.rejected.inc()
            case TrialAsked():
                metrics.asked.inc()
                metrics.waiting.dec()
            case TrialStarted():
                self._started_trials.add(event.number)
            case TrialReported():
                self._reported(event)
            case TrialRetried():
                self._remove(event.number)
                metrics.retries.inc()
            case TrialPaused():
                self._remove(event.number)
                self._paused.add(event.number)
            case TrialResumed():
                self._paused.discard(event.number)
            case TrialFinished():
                self._finished(event)
            case StudyFinished():
                metrics.running.set(0)
                self._server.shutdown()
                self._server.server_close()
        metrics.running.set(len(self._started_trials))
        metrics.paused.set(len(self._paused))

    def _started(self, event: StudyStarted) -> None:
        metrics = self._metrics
        metrics.info.labels(event.name).set(1)
        metrics.planned.set(event.trials)
        metrics.finished_before.set(event.finished)
        metrics.waiting.set(event.trials - event.finished)
        self._objectives = event.objectives
        self._minimised = tuple(each == "minimize" for each in event.directions)

    def _reported(self, event: TrialReported) -> None:
        metrics, number, report = self._metrics, event.number, event.report
        metrics.reports.inc()
        metrics.lag.observe(max(0.0, self._clock() - report.time))
        new = report.tokens_seen - self._tokens.get(number, 0)
        if new > 0:  # a resumed trial repeats the steps after its checkpoint
            metrics.tokens.inc(new)
            self._tokens[number] = report.tokens_seen
        tokens, seconds = self._speed.get(number, (0, 0.0))
        if report.seconds > seconds and report.tokens_seen > tokens:
            pace = (report.tokens_seen - tokens) / (report.seconds - seconds)
            metrics.tokens_per_second.labels(str(number)).set(pace)
            self._with_speed.add(number)
        self._speed[number] = report.tokens_seen, report.seconds

    def _finished(self, event: TrialFinished) -> None:
        metrics, outcome = self._metrics, event.outcome
        self._remove(event.number)
        self._tokens.pop(event.number, None)
        metrics.finished.labels(outcome.value).inc()
        if outcome is Outcome.FAILED:
            metrics.failures.labels(event.error.partition(":")[0]).inc()
        for name, value, minimised in zip(
            self._objectives, event.values, self._minimised, strict=False
        ):
            before = self._best.get(name, math.inf if minimised else -math.inf)
            self._best[name] = min(before, value) if minimised else max(before, value)
            metrics.best.labels(name).set(self._best[name])

    def _remove(self, number: int) -> None:
        """Remove a trial that no longer occupies a slot."""
        self._started_trials.discard(number)
        self._speed.pop(number, None)
        if number in self._with_speed:
            self._with_speed.remove(number)
            self._metrics.tokens_per_second.remove(str(number))


class Metrics:
    """Metrics with their names and help texts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def gauge(name: str, description: str, labels: tuple[str, ...] = ()) -> Any:
            return Gauge(f"ugro_{name}", description, labels, registry=registry)

        def counter(name: str, description: str, labels: tuple[str, ...] = ()) -> Any:
            return Counter(f"ugro_{name}", description, labels, registry=registry)

        self.info = gauge("study_info", "1, with the study's name", ("study",))
        self.planned = gauge("trials_planned", "Trials planned for the study")
        self.finished_before = gauge(
            "trials_finished_before", "Trials that had ended before this driver started"
        )
        self.waiting = gauge("trials_waiting", "Trials not submitted to a slot yet")
        self.asked = counter("trials_asked", "Trials submitted to a slot")
        self.running = gauge("trials_running", "Trials running on a worker")
        self.paused = gauge("trials_paused", "Trials that this driver has paused")
        self.finished = counter("trials_finished", "Ended trials, by outcome", ("ending",))
        self.failures = counter("failures", "Failed trials, by error", ("error",))
        self.retries = counter("retries", "Retries after the loss of a worker")
        self.rejected = counter("proposals_rejected", "Proposals rejected by constraints")
        self.slots = gauge("slots", "Trials that can run at once")
        self.best = gauge("best_value", "Best value so far", ("objective",))
        self.reports = counter("reports", "Evaluations")
        self.tokens = counter("tokens", "Tokens trained on, without repetitions")
        self.tokens_per_second = gauge(
            "trial_tokens_per_second",
            "Throughput between the last two reports, evaluation included",
            ("trial",),
        )
        self.lag = Histogram(
            "ugro_report_lag_seconds",
            "From an evaluation until the driver receives it",
            buckets=LAG_SECONDS,
            registry=registry,
        )
        self.last_event = gauge("last_event_timestamp_seconds", "Time of the last event")
