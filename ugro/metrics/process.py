"""Call metric functions in processes of their own, with a time limit.

A function that hangs or crashes ends its own process, not the trial's worker. The trials of a
worker share a process per function, so that its imports cost time once.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from typing import Any

from ugro.errors import MetricError
from ugro.metrics.examples import Example
from ugro.metrics.source import search_path, source_digest

GRACE_SECONDS = 5.0  # for an idle process to end


def call(name: str, function: str, examples: Sequence[Example], timeout_seconds: float) -> Any:
    """Return what a metric function returns for these examples.

    Args:
        name: name of the metric, for error messages
        function: dotted name of the function
        examples: examples of its kind
        timeout_seconds: limit of the call; the first call includes the import

    Raises:
        MetricError: the function is not found, raises, hangs, or ends its process.
    """
    key = f"{function} {source_digest(function)}"  # a notebook may redefine it between trials
    if key not in _processes:
        _processes[key] = _Process(function)
    try:
        return _processes[key](examples, timeout_seconds)
    except _CallError as error:
        _processes.pop(key).close()
        raise MetricError(f"metrics.{name}: {function}: {error}") from error


class _CallError(Exception):
    """A call failed, for a reason of one line."""


class _Process:
    """A process that serves a function."""

    def __init__(self, function: str) -> None:
        self._connection, other = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ugro.metrics.server", str(other.fileno()), function],
            pass_fds=[other.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(search_path())},
            start_new_session=True,  # Ctrl-C is for the driver, which lets the trial save its state
        )
        other.close()

    def __call__(self, examples: Sequence[Example], timeout_seconds: float) -> Any:
        try:
            self._connection.send(list(examples))
            if not self._connection.poll(timeout_seconds):
                self._kill()
                raise _CallError(f"no result within {timeout_seconds:g} s")
            failure, returned = self._connection.recv()
        except (EOFError, OSError) as error:
            self.close()
            code = self._process.returncode
            raise _CallError(f"its process ended with exit code {code}") from error
        if failure:
            raise _CallError(failure.replace("\n", " "))
        return returned

    def close(self) -> None:
        self._connection.close()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()

    def _kill(self) -> None:
        """Kill the process and those that it has started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


_processes: dict[str, _Process] = {}  # by function and source
