"""Serve a metric function to another process: python -m ugro.metrics.server DESCRIPTOR FUNCTION.

It imports nothing but the standard library and the function, so that it starts in 0.1 s.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

CHECK_SECONDS = 5.0


def serve(connection: Connection, name: str) -> None:
    """Call the function for each list of examples until the other side closes the connection.

    Args:
        connection: receives lists of examples; gets pairs of error message and returned value
        name: dotted name of the function
    """
    function: Any = None
    while True:
        try:
            examples = connection.recv()
        except EOFError:
            return
        try:
            function = function or _imported(name)
            answer = "", _plain(function(examples))
        except BaseException as error:  # whatever the function raises, SystemExit included
            answer = f"{type(error).__name__}: {error}", None
        connection.send(answer)


def _imported(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def _plain(value: Any) -> Any:
    """Return plain numbers, lists and dictionaries; arrays and tensors become lists.

    Raises:
        TypeError: the value is none of them.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, str) or not hasattr(value, "__float__"):
        raise TypeError(f"a {type(value).__name__} was returned, no number")
    return float(value)


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, even if the function hangs."""
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os.killpg(0, signal.SIGKILL)  # it leads a process group of its own


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    serve(Connection(int(sys.argv[1])), sys.argv[2])
