"""Simulated executor with a timeline worked out by hand."""

from collections.abc import Sequence

import pytest
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf

from ugro.events.channel import Answer, TrialInterruptedError
from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import Task
from ugro.executors.simulated_executor import SimulatedExecutor, SimulatedTrial

Messages = list[tuple[float, int, int | None]]


class RecordingListener:
    """A listener that records messages with their time and stops trials at given steps."""

    def __init__(self, stop_at: dict[int, int], answer: Answer = Answer.STOP) -> None:
        self._answer = answer
        self.messages: Messages = []
        self.executor: SimulatedExecutor
        self._stop_at = stop_at

    def started(self, number: int, worker: str) -> None:
        self.messages.append((self.executor.now, number, None))

    def reported(self, number: int, report: Report) -> Answer:
        assert report.time == self.executor.now
        self.messages.append((self.executor.now, number, report.step))
        stops = self._stop_at.get(number) == report.step
        return self._answer if stops else Answer.CONTINUE

    def interrupted(self) -> bool:
        return False


def two_reports(seconds: float) -> SimulatedTrial:
    """Return a trial with a startup of one second and two evaluations."""
    reports = [Report(n, 2, n, 2, n * seconds, {"eval_loss": 9.0 - n}, 0.0) for n in range(3)]
    return SimulatedTrial(1.0, reports, best)


def best(reports: Sequence[Report]) -> TrialResult:
    return TrialResult((min(report.metrics["eval_loss"] for report in reports),), {})


def task(number: int) -> Task:
    return Task(number, [], OmegaConf.create(), {}, None, 60.0)


def submitted(trials: dict[int, SimulatedTrial], **stop_at: int) -> RecordingListener:
    listener = RecordingListener({int(name[1:]): step for name, step in stop_at.items()})
    listener.executor = SimulatedExecutor(lambda task: trials[task.number], lambda now: 2)
    for number in trials:
        listener.executor.submit(task(number))
    return listener


def test_messages_are_ordered_by_time_then_by_number() -> None:
    listener = submitted({0: two_reports(3.0), 1: two_reports(2.0)})
    ended = listener.executor.wait(listener, 60.0)
    assert ended is not None
    assert ended[0] == 1
    assert listener.messages == [
        (0, 0, None),
        (0, 1, None),
        (1, 0, 0),
        (1, 1, 0),
        (3, 1, 1),
        (4, 0, 1),
        (5, 1, 2),
    ]
    assert listener.executor.now == 5
    assert listener.executor.running == 1
    ended = listener.executor.wait(listener, 60.0)
    assert ended is not None
    assert (ended[0], ended[1].return_value.values, listener.executor.now) == (0, (7.0,), 7.0)


def test_a_stopped_trial_ends_at_once_with_its_last_value() -> None:
    listener = submitted({4: two_reports(3.0)}, t4=1)
    ended = listener.executor.wait(listener, 60.0)
    assert ended is not None
    assert (ended[0], ended[1].return_value.values, listener.executor.now) == (4, (8.0,), 4.0)


def test_a_resumed_trial_starts_up_again_and_repeats_no_report() -> None:
    listener = RecordingListener({4: 1}, Answer.PAUSE)
    listener.executor = SimulatedExecutor(lambda task: two_reports(3.0), lambda now: 2)
    listener.executor.submit(task(4))
    ended = listener.executor.wait(listener, 60.0)
    assert ended is not None
    assert isinstance(ended[1]._return_value, TrialInterruptedError)
    assert listener.executor.now == 4  # a second of startup, three of training
    assert listener.executor.running == 0
    assert listener.executor.wait(listener, 6.0) is None
    listener.executor.submit(task(4))
    ended = listener.executor.wait(listener, 60.0)
    assert ended is not None
    assert (ended[1].return_value.values, listener.executor.now) == ((7.0,), 14.0)  # 10 + 1 + 3
    assert listener.messages == [(0, 4, None), (1, 4, 0), (4, 4, 1), (10, 4, None), (14, 4, 2)]


def test_waiting_returns_in_time_and_no_message_is_lost() -> None:
    listener = submitted({0: two_reports(3.0)})
    assert listener.executor.wait(listener, 2.0) is None
    assert listener.executor.now == 2
    assert listener.executor.wait(listener, 2.0) is None
    assert listener.messages[-1] == (4, 0, 1)
    assert listener.executor.wait(listener, 9.0) is not None
    assert listener.executor.now == 7
    assert listener.executor.wait(listener, 1.0) is None  # without trials the clock advances, too
    assert listener.executor.now == 8


def test_a_trial_fails_with_the_error_of_its_result() -> None:
    def fails(reports: Sequence[Report]) -> TrialResult:
        raise FloatingPointError(f"after {len(reports)} reports")

    listener = submitted({0: SimulatedTrial(0.0, two_reports(1.0).reports, fails)})
    ended = listener.executor.wait(listener, 60.0)
    assert ended is not None
    assert ended[1].status is JobStatus.FAILED
    with pytest.raises(FloatingPointError, match="after 3 reports"):
        raise ended[1]._return_value
