import signal

import pytest

from ugro.sweep.interruption import Interruption


def test_the_first_signal_is_taken_note_of_and_the_second_one_ends() -> None:
    with Interruption() as interruption:
        assert not interruption.requested()
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_process_that_was_asked_to_terminate_exits_as_such() -> None:
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(SystemExit) as ended:
            interruption.end()
    assert ended.value.code == 128 + signal.SIGTERM


def test_after_the_block_signals_do_what_they_did() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
