"""Executor on a clock of their own: what happens when, by hand."""

from collections.abc import Sequence

import pytest
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf

from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import Task
from ugro.executors.simulated_executor import Course, SimulatedExecutor

Heard = list[tuple[float, int, int | None]]


class Listening:
    """Notes when it hears what; a trial goes on until the step at which it is to stop."""

    def __init__(self, stop_at: dict[int, int]) -> None:
        self.heard: Heard = []
        self.slots: SimulatedExecutor
        self._stop_at = stop_at

    def started(self, number: int, worker: str) -> None:
        self.heard.append((self.slots.now, number, None))

    def reported(self, number: int, report: Report) -> bool:
        assert report.time == self.slots.now
        self.heard.append((self.slots.now, number, report.step))
        return self._stop_at.get(number) != report.step

    def interrupted(self) -> bool:
        return False


def of_two_reports(seconds: float) -> Course:
    """Loading takes a second, then there are two evaluations."""
    reports = [Report(n, 2, n, 2, n * seconds, {"eval_loss": 9.0 - n}, 0.0) for n in range(3)]
    return Course(1.0, reports, best)


def best(told: Sequence[Report]) -> TrialResult:
    return TrialResult((min(one.metrics["eval_loss"] for one in told),), {})


def task(number: int) -> Task:
    return Task(number, [], OmegaConf.create(), {}, None, 60.0)


def playing(courses: dict[int, Course], **stop_at: int) -> Listening:
    listener = Listening({int(name[1:]): step for name, step in stop_at.items()})
    listener.slots = SimulatedExecutor(lambda task: courses[task.number], lambda now: 2)
    for number in courses:
        listener.slots.submit(task(number))
    return listener


def test_trials_are_heard_in_the_order_of_time_and_then_of_numbers() -> None:
    one = playing({0: of_two_reports(3.0), 1: of_two_reports(2.0)})
    ended = one.slots.wait(one, 60.0)
    assert ended is not None
    assert ended[0] == 1
    assert one.heard == [
        (0, 0, None),
        (0, 1, None),
        (1, 0, 0),
        (1, 1, 0),
        (3, 1, 1),
        (4, 0, 1),
        (5, 1, 2),
    ]
    assert one.slots.now == 5
    assert one.slots.running == 1
    ended = one.slots.wait(one, 60.0)
    assert ended is not None
    assert (ended[0], ended[1].return_value.values, one.slots.now) == (0, (7.0,), 7.0)


def test_a_trial_that_is_stopped_ends_at_once_with_what_it_had_come_to() -> None:
    one = playing({4: of_two_reports(3.0)}, t4=1)
    ended = one.slots.wait(one, 60.0)
    assert ended is not None
    assert (ended[0], ended[1].return_value.values, one.slots.now) == (4, (8.0,), 4.0)


def test_waiting_ends_in_time_and_nothing_is_lost() -> None:
    one = playing({0: of_two_reports(3.0)})
    assert one.slots.wait(one, 2.0) is None
    assert one.slots.now == 2
    assert one.slots.wait(one, 2.0) is None
    assert one.heard[-1] == (4, 0, 1)
    assert one.slots.wait(one, 9.0) is not None
    assert one.slots.now == 7
    assert one.slots.wait(one, 1.0) is None  # nothing runs: time goes by nevertheless
    assert one.slots.now == 8


def test_what_a_result_raises_is_how_the_trial_failed() -> None:
    def fails(told: Sequence[Report]) -> TrialResult:
        raise FloatingPointError(f"after {len(told)} reports")

    one = playing({0: Course(0.0, of_two_reports(1.0).reports, fails)})
    ended = one.slots.wait(one, 60.0)
    assert ended is not None
    assert ended[1].status is JobStatus.FAILED
    with pytest.raises(FloatingPointError, match="after 3 reports"):
        raise ended[1]._return_value
