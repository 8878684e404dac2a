"""A worker says that its training moves, or where it hangs."""

import threading
import time

import pytest

from ugro.executors.watchdog import Heartbeat, pulse

from .test_watchdog import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_silence_counts_from_the_beginning_of_the_trial(clock: Clock) -> None:
    heartbeat = Heartbeat(60, clock)
    clock.now = 500.0
    assert heartbeat.seconds_left() == float("inf")  # it waits for a slot
    heartbeat.heard()
    assert heartbeat.seconds_left() == 60


def test_any_sign_puts_the_end_off_but_not_that_it_hangs(clock: Clock) -> None:
    heartbeat = Heartbeat(60, clock)
    heartbeat.heard()
    clock.now = 50.0
    heartbeat.heard("train.py:7, in step")
    assert heartbeat.seconds_left() == 10
    assert str(heartbeat) == "no sign of life for 60 s, it hangs at train.py:7, in step"
    heartbeat.heard()
    assert heartbeat.seconds_left() == 60
    assert str(heartbeat) == "no sign of life for 60 s"


def test_without_seconds_it_is_waited_for_for_ever(clock: Clock) -> None:
    heartbeat = Heartbeat(None, clock)
    heartbeat.heard()
    assert heartbeat.seconds_left() == float("inf")
    with pulse(None, lambda _: pytest.fail("nobody listens")):
        time.sleep(0.05)


def test_what_works_says_so() -> None:
    said: list[str] = []
    with pulse(0.4, said.append):
        until = time.monotonic() + 10
        while len(said) < 3 and time.monotonic() < until:
            sum(range(1000))
    assert said[:3] == ["", "", ""]


def test_what_waits_says_where() -> None:
    said: list[str] = []
    heard = threading.Event()

    def tell(where: str) -> None:
        said.append(where)
        if len(said) == 3:
            heard.set()

    with pulse(0.4, tell):
        assert heard.wait(10)
    assert "threading.py" in said[2]  # the first time it may have moved


def test_it_is_silent_when_all_is_over() -> None:
    said: list[str] = []
    with pulse(0.2, said.append):
        time.sleep(0.2)
    before = len(said)
    time.sleep(0.2)
    assert len(said) == before
    assert not [one for one in threading.enumerate() if one.name == "pulse"]
