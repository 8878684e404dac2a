import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ugro.config import PrometheusConfig
from ugro.errors import UserError
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
from ugro.events.trial_report import Report
from ugro.observers.prometheus import Prometheus

NOW = 1000.0


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    observer = Prometheus(PrometheusConfig("127.0.0.1", 0), clock=lambda: NOW)
    yield observer
    observer.observe(StudyFinished("all trials are done"))


def scrape(prometheus: Prometheus) -> dict[str, float]:
    """Return all samples by name and label values."""
    with urllib.request.urlopen(f"http://127.0.0.1:{prometheus.port}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return {" ".join((each.name, *each.labels.values())): each.value for each in samples}


def reported(number: int, tokens: int, seconds: float, time: float = NOW) -> TrialReported:
    report = Report(tokens // 100, 10, tokens, 1000, seconds, {"eval_loss": 3.0}, time=time)
    return TrialReported(number, report, None)


EVENTS: list[Event] = [
    StudyStarted("mine", "multirun/mine", 10, 2, ("eval_loss",), ("minimize",)),
    SlotsCounted(4),
    ProposalRejected({"lora.r": 64}, ("lora.r <= 8",)),
    *(TrialAsked(number, {}, "sampler") for number in (2, 3, 4, 5)),
    *(TrialStarted(number, f"here:{number}") for number in (2, 3, 4, 5)),
    reported(2, 0, 0.0),
    reported(2, 200, 4.0, time=NOW - 2.0),
    reported(2, 500, 10.0),
    reported(3, 300, 1.0),
    TrialRetried(3, "WorkerLostError: gone", 1),
    TrialStarted(3, "there:1"),
    reported(3, 200, 1.0),  # repeated from its checkpoint
    reported(3, 400, 3.0),
    TrialFinished(4, Outcome.COMPLETE, (2.5,), {}),
    TrialFinished(5, Outcome.FAILED, (), {}, "ValueError: no"),
]


def test_trials_slots_and_tokens_are_counted(prometheus: Prometheus) -> None:
    for event in EVENTS:
        prometheus.observe(event)
    samples_by_name = scrape(prometheus)
    assert samples_by_name["ugro_study_info mine"] == 1
    assert samples_by_name["ugro_trials_planned"] == 10
    assert samples_by_name["ugro_trials_finished_before"] == 2
    assert (
        samples_by_name["ugro_trials_waiting"] == 4
    )  # ten, less two that were done and four asked
    assert samples_by_name["ugro_trials_running"] == 2
    assert samples_by_name["ugro_slots"] == 4
    assert samples_by_name["ugro_tokens_total"] == 900  # 500 and 400
    assert samples_by_name["ugro_trial_tokens_per_second 2"] == 50  # 300 tokens in 6 s
    assert samples_by_name["ugro_trial_tokens_per_second 3"] == 100
    assert samples_by_name["ugro_retries_total"] == 1
    assert samples_by_name["ugro_proposals_rejected_total"] == 1
    assert samples_by_name["ugro_trials_finished_total complete"] == 1
    assert samples_by_name["ugro_trials_finished_total failed"] == 1
    assert samples_by_name["ugro_failures_total ValueError"] == 1
    assert samples_by_name["ugro_best_value eval_loss"] == 2.5
    assert samples_by_name["ugro_report_lag_seconds_sum"] == 2.0
    assert samples_by_name["ugro_report_lag_seconds_count"] == 6


def test_a_paused_trial_occupies_no_slot(prometheus: Prometheus) -> None:
    for event in (*EVENTS, TrialPaused(2), TrialPaused(3), TrialResumed(2)):
        prometheus.observe(event)
    samples_by_name = scrape(prometheus)
    assert samples_by_name["ugro_trials_paused"] == 1
    assert samples_by_name["ugro_trials_running"] == 0  # until a worker has started it again
    assert "ugro_trial_tokens_per_second 3" not in samples_by_name
    assert samples_by_name["ugro_tokens_total"] == 900


def test_the_best_follows_the_direction(prometheus: Prometheus) -> None:
    prometheus.observe(StudyStarted("s", "f", 3, 0, ("accuracy",), ("maximize",)))
    for number, value in enumerate((0.5, 0.7, 0.6)):
        prometheus.observe(TrialFinished(number, Outcome.COMPLETE, (value,), {}))
    assert scrape(prometheus)["ugro_best_value accuracy"] == 0.7


def test_a_trial_that_has_ended_shows_no_speed(prometheus: Prometheus) -> None:
    for event in (*EVENTS, TrialFinished(2, Outcome.RUNG, (), {})):
        prometheus.observe(event)
    speeds = [name for name in scrape(prometheus) if name.startswith("ugro_trial_tokens")]
    assert speeds == ["ugro_trial_tokens_per_second 3"]


def test_the_port_is_free_again_when_the_study_has_ended() -> None:
    first = Prometheus(PrometheusConfig("127.0.0.1", 0))
    with pytest.raises(UserError, match=rf"127\.0\.0\.1:{first.port}.*free"):
        Prometheus(PrometheusConfig("127.0.0.1", first.port))
    first.observe(StudyFinished("all trials are done"))
    with pytest.raises(urllib.error.URLError):
        scrape(first)
    again = Prometheus(PrometheusConfig("127.0.0.1", first.port))
    again.observe(StudyFinished("all trials are done"))
