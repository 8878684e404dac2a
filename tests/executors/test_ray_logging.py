import logging

import pytest
from ray._private import worker
from ray.util.client import logsclient

from ugro.executors.ray_logging import brief, redirect_to_log


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
    redirect_to_log.cache_clear()
    redirect_to_log()
    lost = {"pid": "raylet", "lines": ["A worker died", "of this"], "is_err": False}
    output = {"pid": 17, "lines": ["hello"], "is_err": False}
    for data in (lost, output):
        worker.print_to_stdstream(data, ignore_prefix=False)
    assert caplog.messages == ["A worker died\nof this"]
    assert capsys.readouterr() == ("", "")
    assert printed == [output]


class Heard(logging.Handler):
    """What reaches the handlers of the sweep, which are the root's."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_what_a_cluster_sends_to_rays_client_goes_into_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "ray")  # other tests' clusters set it to ERROR
    heard = Heard()
    monkeypatch.setattr(logging.getLogger(), "handlers", [heard])
    monkeypatch.setattr(logging.getLogger("ray"), "propagate", False)
    monkeypatch.setattr(logsclient.logger, "propagate", False)  # as Ray has it
    monkeypatch.setattr(worker, "print_to_stdstream", worker.print_to_stdstream)
    redirect_to_log.cache_clear()
    redirect_to_log()
    client = object.__new__(logsclient.LogstreamClient)  # its methods need no connection
    client.log(logging.WARNING, "SIGTERM handler is not set")
    assert heard.messages == ["SIGTERM handler is not set"]


LOST = (
    "Task failed because the node it was running on is dead or unavailable. Node IP: 192.0.2.2, "
    "node ID: 96. This can happen if the node was preempted, had a hardware failure, or its raylet "
    "crashed unexpectedly. To see node death information, use `ray list nodes`."
)
KILLED = (
    "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: "
    "192.0.2.2, ID: 9a) was 14.33GB used / 23.54GB limit (0.608541), which exceeds the threshold.\n"
    "Refer to the documentation on how to address the out of memory issue."
)
DIED = "The worker died unexpectedly while executing this task. Check python-core-worker-*.log."


@pytest.mark.parametrize(
    ("advice", "told"),
    [
        (LOST, "Task failed because the node it was running on is dead or unavailable"),
        (
            KILLED,
            "1 worker(s) were killed due to the node running low on memory "
            "(14.33GB used / 23.54GB limit)",
        ),
        (DIED, "The worker died unexpectedly while executing this task"),
        ("one\ntwo", "one"),
        ("", ""),
    ],
)
def test_a_paragraph_of_advice_is_one_sentence_and_logged_whole(
    advice: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(logging.getLogger("ray"), "propagate", True)
    caplog.set_level(logging.WARNING, "ray")
    assert brief(RuntimeError(advice)) == told
    assert set(caplog.messages) == {advice}  # some loggers are listened to twice
