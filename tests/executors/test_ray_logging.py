import logging

import pytest
from ray._private import worker
from ray.util.client import logsclient

from ugro.executors.ray_logging import first_sentence, redirect_to_log


def test_messages_about_lost_workers_are_logged_and_worker_output_is_printed(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output_lines = []
    # monkeypatch also restores Ray's function for other tests.
    monkeypatch.setattr(
        worker, "print_to_stdstream", lambda data, ignore_prefix: output_lines.append(data)
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
    assert output_lines == [output]


class RecordingHandler(logging.Handler):
    """Handler that records what reaches the root's handlers, which are the sweep's."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_warnings_sent_to_rays_client_are_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "ray")  # clusters of other tests set ERROR
    handler = RecordingHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    monkeypatch.setattr(logging.getLogger("ray"), "propagate", False)
    monkeypatch.setattr(logsclient.logger, "propagate", False)  # as in Ray
    monkeypatch.setattr(worker, "print_to_stdstream", worker.print_to_stdstream)
    redirect_to_log.cache_clear()
    redirect_to_log()
    client = object.__new__(logsclient.LogstreamClient)  # its methods need no connection
    client.log(logging.WARNING, "SIGTERM handler is not set")
    assert handler.messages == ["SIGTERM handler is not set"]


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
    ("advice", "sentence"),
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
def test_an_error_is_shortened_to_a_sentence_and_logged_in_full(
    advice: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(logging.getLogger("ray"), "propagate", True)
    caplog.set_level(logging.WARNING, "ray")
    assert first_sentence(RuntimeError(advice)) == sentence
    assert set(caplog.messages) == {advice}  # some loggers have two handlers
