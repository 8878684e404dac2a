"""Deadlines and heartbeats, on a clock that the tests set."""

import threading
import time

import pytest

from ugro.executors.watchdog import Deadline, Heartbeat, heartbeats


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


# Deadline


def test_without_a_limit_no_trial_counts_as_hung(clock: Clock) -> None:
    deadline = Deadline(None, 60, clock)
    deadline.start()
    assert deadline.seconds_left() == float("inf")
    deadline.extend(is_ending=True)
    assert deadline.seconds_left() == float("inf")


def test_the_limit_counts_from_the_start_of_the_trial(clock: Clock) -> None:
    deadline = Deadline(100, 60, clock)
    clock.now = 500.0
    assert deadline.seconds_left() == float("inf")
    deadline.start()
    assert deadline.seconds_left() == 160


def test_a_report_before_the_limit_does_not_extend_the_deadline(clock: Clock) -> None:
    deadline = Deadline(100, 60, clock)
    deadline.start()
    clock.now = 30.0
    deadline.extend(is_ending=False)
    assert deadline.seconds_left() == 160 - 30
    assert str(deadline) == "no report for 60 s after 100 s"


def test_each_report_after_the_limit_extends_the_deadline(clock: Clock) -> None:
    deadline = Deadline(100, 60, clock)
    deadline.start()
    for clock.now in (150.0, 200.0, 250.0):
        deadline.extend(is_ending=False)
        assert deadline.seconds_left() == 60
    clock.now = 311.0
    assert deadline.seconds_left() == -1


def test_an_ending_trial_has_a_quarter_of_an_hour_to_save_its_state(clock: Clock) -> None:
    deadline = Deadline(100, 60, clock)
    deadline.start()
    clock.now = 120.0
    deadline.extend(is_ending=True)
    assert deadline.seconds_left() == 15 * 60 + 60


# Heartbeat


def test_silence_counts_from_the_start_of_the_trial(clock: Clock) -> None:
    heartbeat = Heartbeat(60, clock)
    clock.now = 500.0
    assert heartbeat.seconds_left() == float("inf")  # the trial waits for a slot
    heartbeat.record()
    assert heartbeat.seconds_left() == 60


def test_a_message_extends_the_timeout_unless_the_worker_hangs(clock: Clock) -> None:
    heartbeat = Heartbeat(60, clock)
    heartbeat.record()
    clock.now = 50.0
    heartbeat.record("train.py:7, in step")
    assert heartbeat.seconds_left() == 10
    assert str(heartbeat) == "no heartbeat for 60 s, hanging at train.py:7, in step"
    heartbeat.record()
    assert heartbeat.seconds_left() == 60
    assert str(heartbeat) == "no heartbeat for 60 s"


def test_without_a_timeout_no_heartbeat_is_sent(clock: Clock) -> None:
    heartbeat = Heartbeat(None, clock)
    heartbeat.record()
    assert heartbeat.seconds_left() == float("inf")
    with heartbeats(None, lambda _: pytest.fail("a heartbeat was sent")):
        time.sleep(0.05)


def test_a_working_thread_sends_empty_heartbeats() -> None:
    sent: list[str] = []
    with heartbeats(0.4, sent.append):
        until = time.monotonic() + 10
        while len(sent) < 3 and time.monotonic() < until:
            sum(range(1000))
    assert sent[:3] == ["", "", ""]


def test_a_waiting_thread_sends_its_line_of_code() -> None:
    sent: list[str] = []
    has_three = threading.Event()

    def send(line: str) -> None:
        sent.append(line)
        if len(sent) == 3:
            has_three.set()

    with heartbeats(0.4, send):
        assert has_three.wait(10)
    assert "threading.py" in sent[2]  # before the first heartbeat the thread may have worked


def test_no_heartbeat_is_sent_after_the_block() -> None:
    sent: list[str] = []
    with heartbeats(0.2, sent.append):
        time.sleep(0.2)
    before = len(sent)
    time.sleep(0.2)
    assert len(sent) == before
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]
