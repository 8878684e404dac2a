"""On a clock that is a number."""

import pytest

from ugro.executors.watchdog import Deadline


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_a_limit_nothing_is_taken_for_hung(clock: Clock) -> None:
    deadline = Deadline(None, 60, clock)
    deadline.begin()
    assert deadline.seconds_left() == float("inf")
    deadline.heard(ends=True)
    assert deadline.seconds_left() == float("inf")


def test_what_is_not_started_has_all_its_time(clock: Clock) -> None:
    deadline = Deadline(100, 60, clock)
    clock.now = 500.0
    assert deadline.seconds_left() == float("inf")
    deadline.begin()
    assert deadline.seconds_left() == 160


def test_it_must_be_heard_of_some_time_after_its_limit(clock: Clock) -> None:
    deadline = Deadline(100, 60, clock)
    deadline.begin()
    clock.now = 30.0
    deadline.heard(ends=False)  # long before its limit: nothing changes
    assert deadline.seconds_left() == 160 - 30
    assert str(deadline) == "no report for 60 s after 100 s"


def test_each_report_after_its_limit_puts_the_end_off(clock: Clock) -> None:
    deadline = Deadline(100, 60, clock)
    deadline.begin()
    for clock.now in (150.0, 200.0, 250.0):
        deadline.heard(ends=False)
        assert deadline.seconds_left() == 60
    clock.now = 311.0
    assert deadline.seconds_left() == -1


def test_what_ends_has_a_quarter_of_an_hour_to_save_itself(clock: Clock) -> None:
    deadline = Deadline(100, 60, clock)
    deadline.begin()
    clock.now = 120.0
    deadline.heard(ends=True)
    assert deadline.seconds_left() == 15 * 60 + 60
