import logging

import pytest
from ray._private import worker

from ugro.slots.ray_messages import into_the_log


def test_what_ray_prints_of_lost_workers_is_logged_and_workers_output_is_not(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = []
    # Also restores it: the function is Ray's, and this process may have other tests.
    monkeypatch.setattr(
        worker, "print_to_stdstream", lambda data, ignore_prefix: printed.append(data)
    )
    monkeypatch.setattr(logging.getLogger("ray"), "propagate", False)
    caplog.set_level(logging.WARNING, "ray")
    into_the_log.cache_clear()
    into_the_log()
    lost = {"pid": "raylet", "lines": ["A worker died", "of this"], "is_err": False}
    output = {"pid": 17, "lines": ["hello"], "is_err": False}
    for data in (lost, output):
        worker.print_to_stdstream(data, ignore_prefix=False)
    assert caplog.messages == ["A worker died\nof this"]
    assert capsys.readouterr() == ("", "")
    assert printed == [output]
